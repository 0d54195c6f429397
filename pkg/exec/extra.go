package exec

// extra is what only some users need, so that the others stay small.
type extra struct {
	fresh int64 // refresh: when set-up was last done
	jar   *jar  // nil: no cookies yet
	hop   hop   // the redirect that is being followed
}

// plain reports whether the next request is like that of any other user.
func (x *extra) plain() bool { return x == nil || x.jar == nil && x.hop.method == "" }

// more returns a user's extra, making it when there is none.
func (u *user) more() *extra {
	if u.extra == nil {
		u.extra = &extra{}
	}
	return u.extra
}

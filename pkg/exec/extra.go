package exec

// extra is what only some users need, so that the others stay small.
type extra struct {
	began int64 // pace: when its last task was due
	fresh int64 // refresh: when set-up was last done
	jars  []jar // by target; nil: no cookies yet
	// lapsed: its last refresh failed, so that it is not active.
	lapsed bool
	// rendered is when the request was rendered that may be redirected.
	rendered int64
	hop      hop // the redirect that is being followed
	// starved names the feeder that had no row left for this task, "" for none.
	starved string
	barren  bool // it had none for the user, and so for all its tasks
}

// plain reports whether the next request is like that of any other user.
func (x *extra) plain() bool {
	return x == nil || x.jars == nil && x.hop.method == "" && x.starved == ""
}

// more returns a user's extra, making it when there is none.
func (u *user) more() *extra {
	if u.extra == nil {
		u.extra = &extra{}
	}
	return u.extra
}

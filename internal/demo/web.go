package demo

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Web stands in for what the web at large does beside answering with JSON:
// cookies, redirects, encodings, forms, authentication. It has one resource
// for each thing that a client must get right, and says in its answer what it
// received. All resources answer HEAD where they answer GET.
//
//	GET  /                                   the list of resources
//	GET  /health                             200, or 503 by the knob NotReady
//	GET, POST /login?user=                   sets the cookie session=USER-N (HttpOnly, Path=/)
//	GET  /me                                 {"user": …} of a session, else 401
//	GET, POST /logout                        ends the session and deletes its cookie
//	GET  /cookies/echo                       the Cookie field received
//	GET  /cookies/set?name=&value=&…         sets a cookie: path, domain, max_age, expires,
//	                                         secure, http_only, same_site; or raw= as it is
//	ANY  /redirect/{code}/{n}?to=&form=      n redirects, then to; see below
//	ANY  /redirect/away?to=&code=            one redirect to a URL as it is
//	ANY  /redirect/loop?code=&form=          a redirect to itself
//	ANY  /arrived, /arrived/{rest}           method, bytes, and whether credentials came along
//	GET  /encoded/{coding}?n=&chunked=       JSON in a coding; see webEncoded
//	GET  /basic?user=&password=              200 with these (ann, secret), else 401
//	GET  /bearer?token=                      200 with this (token), else 401
//	ANY  /body                               what the body was: type, length, hash, fields, files
//	GET  /headers                            the fields received
//	GET, PUT, DELETE /items/{id}             200, 200, 204
//	POST /items                              201 with a Location
//	ANY  /status/{code}                      an answer with this status
//	GET  /slow?ms=                           after so many milliseconds
//	GET  /bytes?n=&chunked=                  a body of n bytes
//	ANY  /close                              closes the connection behind the answer
//	GET  /conn                               the connection's number, and its requests so far
//	GET  /tls                                version, ALPN, server name, the client's certificate
//	POST /rows                               counts the value of "email" in the ledger
//	GET, DELETE /_ledger                     the [Ledger]; DELETE also begins a new one
//	GET, POST /_knobs                        the [Knobs]; POST sets those in its JSON object
//
// Redirects go to the next hop by form=path (as does no form), relative (to the
// present path), absolute, or network (without the scheme), and all of them with
// fragment=X end in #X. The last goes to `to`, which is /arrived unless given.
//
// It is an [http.Handler] to be served by [Start] or any HTTP server.
type Web struct {
	front
	resources []resource
	sessions  sessions
	items     atomic.Uint64
}

// A resource is one path of a Web.
type resource struct {
	path    string // as in the ledger: /items/{id}
	methods string // "GET POST"
	probe   bool
	notes   func(q *asked) []note
	answer  func(w http.ResponseWriter, q *asked, x fate)
}

// anyMethod are the methods of a resource that takes them all.
const anyMethod = "GET POST PUT PATCH DELETE OPTIONS"

// asked is a request that has been read.
type asked struct {
	*http.Request
	body  []byte
	parts map[string]string // what stands for {name} in the path
	query url.Values
}

// number is a parameter of the query as a number from 0 to most.
func (q *asked) number(name string, otherwise, most int) int {
	n, err := strconv.Atoi(q.query.Get(name))
	if err != nil || n < 0 {
		return otherwise
	}
	return min(n, most)
}

// text is a parameter of the query.
func (q *asked) text(name, otherwise string) string {
	if q.query.Has(name) {
		return q.query.Get(name)
	}
	return otherwise
}

// NewWeb makes a Web. It panics if opts.Knobs are not valid.
func NewWeb(opts Options) *Web {
	s := &Web{}
	s.front.system, s.front.most = s, 64<<20
	s.faults.seed = opts.Seed
	if err := s.faults.set(opts.Knobs); err != nil {
		panic(fmt.Sprintf("demo.NewWeb: %v", err))
	}
	s.resources = []resource{
		{path: "/", methods: "GET", answer: s.list},
		{path: "/health", methods: "GET", probe: true, answer: func(w http.ResponseWriter, q *asked, x fate) { health(w, q.Request, x) }},
		{path: "/login", methods: "GET POST", answer: s.login},
		{path: "/me", methods: "GET", answer: s.me},
		{path: "/logout", methods: "GET POST", answer: s.logout},
		{path: "/cookies/echo", methods: "GET", answer: echoCookies},
		{path: "/cookies/set", methods: "GET", answer: setCookie},
		{path: "/redirect/away", methods: anyMethod, answer: redirectAway},
		{path: "/redirect/loop", methods: anyMethod, answer: redirectLoop},
		{path: "/redirect/{code}/{n}", methods: anyMethod, answer: redirect},
		{path: "/arrived", methods: anyMethod, answer: arrived},
		{path: "/arrived/{rest}", methods: anyMethod, answer: arrived},
		{path: "/encoded/{coding}", methods: "GET", answer: encoded},
		{path: "/basic", methods: "GET", answer: basic},
		{path: "/bearer", methods: "GET", answer: bearer},
		{path: "/body", methods: anyMethod, answer: describeBody},
		{path: "/headers", methods: "GET", answer: echoHeaders},
		{path: "/items", methods: "POST", answer: s.newItem},
		{path: "/items/{id}", methods: "GET PUT DELETE", answer: item},
		{path: "/status/{code}", methods: anyMethod, answer: status},
		{path: "/slow", methods: "GET", answer: slow},
		{path: "/bytes", methods: "GET", answer: someBytes},
		{path: "/close", methods: anyMethod, answer: closeAfter},
		{path: "/conn", methods: "GET", answer: describeConn},
		{path: "/tls", methods: "GET", answer: describeTLS},
		{path: "/rows", methods: "POST", notes: rowNotes, answer: countRow},
	}
	return s
}

// understand implements system.
func (s *Web) understand(r *http.Request, body []byte) call {
	q := &asked{Request: r, body: body}
	q.query, _ = url.ParseQuery(r.URL.RawQuery) // what cannot be decoded is as if it were not there
	method := r.Method
	if !slices.Contains(methods, method) {
		method = "(other)"
	}
	for i := range s.resources {
		res := &s.resources[i]
		var ok bool
		if q.parts, ok = matchPath(res.path, r.URL.Path); !ok {
			continue
		}
		c := call{route: method + " " + res.path, probe: res.probe}
		allowed := strings.Fields(res.methods)
		if !slices.Contains(allowed, method) && !(method == http.MethodHead && slices.Contains(allowed, http.MethodGet)) {
			c.answer = func(w http.ResponseWriter, _ *http.Request, _ fate) {
				writeNotAllowed(w, strings.Join(allowed, ", "))
			}
			return c
		}
		if res.notes != nil {
			c.notes = res.notes(q)
		}
		c.answer = func(w http.ResponseWriter, _ *http.Request, x fate) { res.answer(w, q, x) }
		return c
	}
	return call{route: method + " (unknown)", answer: func(w http.ResponseWriter, _ *http.Request, _ fate) {
		writeDetail(w, http.StatusNotFound, "Not Found")
	}}
}

// matchPath matches a path with a template and returns what stands for its
// names; {rest} takes slashes as well.
func matchPath(template, path string) (map[string]string, bool) {
	var parts map[string]string
	for {
		at := strings.IndexByte(template, '{')
		if at < 0 {
			return parts, template == path
		}
		if !strings.HasPrefix(path, template[:at]) {
			return nil, false
		}
		name, after, _ := strings.Cut(template[at+1:], "}")
		value := path[at:]
		if slash := strings.IndexByte(value, '/'); slash >= 0 && name != "rest" {
			value = value[:slash]
		}
		if value == "" {
			return nil, false
		}
		if parts == nil {
			parts = map[string]string{}
		}
		parts[name] = value
		template, path = after, path[at+len(value):]
	}
}

func (s *Web) list(w http.ResponseWriter, _ *asked, _ fate) {
	paths := make([]string, len(s.resources))
	for i, res := range s.resources {
		paths[i] = res.methods + " " + res.path
	}
	writeValue(w, http.StatusOK, struct {
		Service   string   `json:"service"`
		Resources []string `json:"resources"`
	}{"Tollgate demo web", paths})
}

// sessions are those who are logged in. The oldest go when there are many.
type sessions struct {
	mu    sync.Mutex
	n     uint64
	users map[string]string // by the value of the cookie
	ring  [maxSessions]string
}

const maxSessions = 100_000

func (s *sessions) begin(user string) (value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = map[string]string{}
	}
	slot := &s.ring[s.n%maxSessions]
	s.n++
	delete(s.users, *slot)
	value = fmt.Sprintf("%s-%d", url.QueryEscape(user), s.n)
	*slot, s.users[value] = value, user
	return value
}

func (s *sessions) user(value string) (user string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, ok = s.users[value]
	return user, ok
}

func (s *sessions) end(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, value)
}

const sessionCookie = "session"

func (s *Web) login(w http.ResponseWriter, q *asked, _ fate) {
	user := q.query.Get("user")
	if user == "" {
		writeDetail(w, http.StatusBadRequest, "login takes ?user=NAME")
		return
	}
	value := s.sessions.begin(user)
	w.Header().Set("Set-Cookie", sessionCookie+"="+value+"; Path=/; HttpOnly")
	writeValue(w, http.StatusOK, struct {
		User    string `json:"user"`
		Session string `json:"session"`
	}{user, value})
}

func (s *Web) me(w http.ResponseWriter, q *asked, _ fate) {
	user, ok := "", false
	if c, err := q.Cookie(sessionCookie); err == nil {
		user, ok = s.sessions.user(c.Value)
	}
	if !ok {
		writeDetail(w, http.StatusUnauthorized, "Not logged in")
		return
	}
	writeUser(w, user)
}

func writeUser(w http.ResponseWriter, user string) {
	writeValue(w, http.StatusOK, struct {
		User string `json:"user"`
	}{user})
}

func (s *Web) logout(w http.ResponseWriter, q *asked, _ fate) {
	if c, err := q.Cookie(sessionCookie); err == nil {
		s.sessions.end(c.Value)
	}
	w.Header().Set("Set-Cookie", sessionCookie+"=; Path=/; Max-Age=0; HttpOnly")
	w.WriteHeader(http.StatusNoContent)
}

func (s *Web) newItem(w http.ResponseWriter, q *asked, _ fate) {
	id := strconv.FormatUint(s.items.Add(1), 10)
	w.Header().Set("Location", "/items/"+id)
	writeItem(w, http.StatusCreated, id)
}

func item(w http.ResponseWriter, q *asked, _ fate) {
	if q.Method == http.MethodDelete {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeItem(w, http.StatusOK, q.parts["id"])
}

func writeItem(w http.ResponseWriter, status int, id string) {
	writeValue(w, status, struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}{id, "Item " + id})
}

func status(w http.ResponseWriter, q *asked, _ fate) {
	code, err := strconv.Atoi(q.parts["code"])
	if err != nil || code < 200 || code > 999 {
		writeDetail(w, http.StatusBadRequest, "a status from 200 to 999")
		return
	}
	if code == http.StatusNoContent || code == http.StatusNotModified {
		w.WriteHeader(code)
		return
	}
	writeDetail(w, code, http.StatusText(code))
}

func slow(w http.ResponseWriter, q *asked, _ fate) {
	ms := q.number("ms", 100, 600_000)
	if !pause(q.Context(), time.Duration(ms)*time.Millisecond) {
		abandon()
	}
	writeValue(w, http.StatusOK, struct {
		Waited int `json:"waited_ms"`
	}{ms})
}

func closeAfter(w http.ResponseWriter, _ *asked, _ fate) {
	w.Header().Set("Connection", "close")
	writeValue(w, http.StatusOK, struct {
		Closed bool `json:"closed"`
	}{true})
}

// countRow has its note in the ledger; it answers how it was understood.
func countRow(w http.ResponseWriter, q *asked, _ fate) {
	email, ok := readRow(q.body)
	if !ok {
		writeDetail(w, http.StatusUnprocessableEntity, `rows takes {"email": "…"}`)
		return
	}
	writeValue(w, http.StatusCreated, struct {
		Email string `json:"email"`
	}{email})
}

func rowNotes(q *asked) []note {
	if email, ok := readRow(q.body); ok {
		return []note{{rows, email}}
	}
	return nil
}

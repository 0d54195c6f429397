package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// ERIOPOptions are what an [ERIOP] starts with, beside those of every demo
// system.
type ERIOPOptions struct {
	Options
	// Store has the rows: [NewMemory] or [OpenPostgres]. The caller closes it,
	// after the server.
	Store Store
	// PendingLimit and ActiveLimit are the most rows that the lists of pending
	// alerts and of active incidents answer, the most urgent ones. 0 is all, as
	// in the real system, where both grow with every write of a load test.
	PendingLimit, ActiveLimit int
}

// DefaultListed is how many rows the lists of pending alerts and of active
// incidents answer when nothing else is asked for.
const DefaultListed = 100

// ERIOP stands in for the ERIOP system. Below /api/v1, for those who have
// logged in:
//
//	POST /auth/login                 tokens for an e-mail address and a password (the only one that is open)
//	POST /auth/refresh               new tokens for a refresh token (open as well: the token is the proof)
//	GET  /auth/me                    who one is
//	GET  /incidents/active           an array, by priority and then the newest first
//	GET  /incidents                  pages: page from 1, page_size 1..100 (50); status, priority, incident_type, building_id
//	GET  /incidents/{id}             one, 404, or 400 for what is no UUID
//	POST /incidents                  201 and the incident, with a number of its own
//	GET  /alerts/pending             an array, by severity and then the newest first
//	GET  /alerts                     pages; status, severity, alert_type
//	GET  /alerts/{id}                one, 404, 400
//	POST /alerts/{id}/acknowledge    200 and the alert; again is 200 and changes nothing
//	POST /alerts/ingest              201 and the alert, once it is committed
//	GET  /resources/available        an array; resource_type
//	GET  /resources                  pages; resource_type, status, agency_id
//
// and for everybody /health, /metrics, /_ledger and /_knobs as [SOC] has them.
//
// It does what the system's documents say. Where the real one falls short of
// them, this one does not follow: alerts can be ingested (there 405), alerts
// can be read when there are any (500), an acknowledgement keeps its notes (a
// 500 after the commit, and they are lost), two incidents never get one number
// (500), addresses below .local can log in (422), a password is checked beside
// other requests and not in their way, rows with any category or source of the
// database can be listed, and the two lists have an end. It has no limit of
// requests for each client, and demands JSON numbers where numbers are meant.
type ERIOP struct {
	front
	store           Store
	tokens          tokens
	pending, active int
	reads           gathering
	verifying       chan struct{} // as many at a time as it has room
	now             func() time.Time
}

// A Store has ERIOP's rows. Its methods may be called by any number of
// goroutines; what they write is committed when they return.
type Store interface {
	// Name says what it is, for people and for reports.
	Name() string

	accountByEmail(ctx context.Context, email string) (account, error)
	account(ctx context.Context, who id) (account, error)
	// recordLogin writes an audit row, and counts failures until one succeeds.
	recordLogin(ctx context.Context, l login) error

	// The lists answer a page of what a query asks for, and how many there are
	// of it when the query asks for that.
	incidents(ctx context.Context, q incidentQuery) ([]incident, int, error)
	incident(ctx context.Context, which id) (incident, error)
	// create gives the incident a number that no other has.
	create(ctx context.Context, in *incident, agency id, alert *id) error

	alerts(ctx context.Context, q alertQuery) ([]alert, int, error)
	alert(ctx context.Context, which id) (alert, error)
	acknowledge(ctx context.Context, which, by id, notes *string, at time.Time) (alert, error)
	ingest(ctx context.Context, a *alert) error

	resources(ctx context.Context, q resourceQuery) ([]unit, int, error)

	// Close releases what the store holds, when no call is under way any more.
	Close() error
}

var (
	errAbsent   = errors.New("there is no such row")
	errOrphan   = errors.New("a row that this one refers to is not there")
	errUnstored = errors.New("a value that the database cannot keep")
)

// NewERIOP makes an ERIOP system. It panics if opts.Knobs are not valid.
func NewERIOP(opts ERIOPOptions) *ERIOP {
	s := &ERIOP{
		store: opts.Store, tokens: newTokens(), pending: opts.PendingLimit, active: opts.ActiveLimit,
		// Half of the machine is left to those who have logged in already.
		verifying: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		now:       time.Now,
	}
	s.front.system = s
	s.faults.seed = opts.Seed
	if opts.Work != 0 {
		opts.Knobs.Work = opts.Work
	}
	if err := s.faults.set(opts.Knobs); err != nil {
		panic(fmt.Sprintf("demo.NewERIOP: %v", err))
	}
	return s
}

const api = "/api/v1"

// A handler answers a request of somebody who has logged in. which is the id in
// the path, if it has one.
type handler func(s *ERIOP, w http.ResponseWriter, r *http.Request, in visit)

// A visit is what a request brings along.
type visit struct {
	who   claims // zero before a login
	which string // the id in the path
	body  []byte
	fate  fate
}

// eriopRoutes are the routes with a fixed path, and those with an {id}.
var eriopRoutes = map[string]handler{
	"POST " + api + "/auth/login":              (*ERIOP).login,
	"POST " + api + "/auth/refresh":            (*ERIOP).refresh,
	"GET " + api + "/auth/me":                  (*ERIOP).me,
	"GET " + api + "/incidents/active":         (*ERIOP).activeIncidents,
	"GET " + api + "/incidents":                (*ERIOP).listIncidents,
	"POST " + api + "/incidents":               (*ERIOP).createIncident,
	"GET " + api + "/incidents/{id}":           (*ERIOP).oneIncident,
	"GET " + api + "/alerts/pending":           (*ERIOP).pendingAlerts,
	"GET " + api + "/alerts":                   (*ERIOP).listAlerts,
	"GET " + api + "/alerts/{id}":              (*ERIOP).oneAlert,
	"POST " + api + "/alerts/{id}/acknowledge": (*ERIOP).acknowledgeAlert,
	"POST " + api + "/alerts/ingest":           (*ERIOP).ingestAlert,
	"GET " + api + "/resources/available":      (*ERIOP).availableResources,
	"GET " + api + "/resources":                (*ERIOP).listResources,
}

// open routes want no token.
var open = map[string]bool{"POST " + api + "/auth/login": true, "POST " + api + "/auth/refresh": true}

// templateOf returns the path with its id as {id}, and the id.
func templateOf(path string) (string, string) {
	for _, family := range []string{api + "/incidents/", api + "/alerts/"} {
		rest, ok := strings.CutPrefix(path, family)
		if !ok {
			continue
		}
		which, action, deeper := strings.Cut(rest, "/")
		switch {
		case which == "" || strings.Contains(action, "/"):
			return path, ""
		case deeper:
			return family + "{id}/" + action, which
		}
		return family + "{id}", which
	}
	return path, ""
}

// understand implements system.
func (s *ERIOP) understand(r *http.Request, body []byte) call {
	switch route := r.Method + " " + r.URL.Path; route {
	case routeHealth:
		return call{route: route, probe: true, answer: s.health}
	case routeMetrics:
		return call{route: route, probe: true, answer: s.metrics}
	}
	route, which := r.Method+" "+r.URL.Path, ""
	handle, known := eriopRoutes[route]
	path, in := templateOf(r.URL.Path)
	if !known {
		// As in the real router, GET /alerts/ingest asks for an alert "ingest".
		route, which = r.Method+" "+path, in
		handle, known = eriopRoutes[route]
	}
	if !known {
		return s.unknown(r, path)
	}
	return call{
		route: route, falsifiable: true,
		answer: func(w http.ResponseWriter, r *http.Request, x fate) {
			brought := visit{which: which, body: body, fate: x}
			if !open[route] {
				who, err := s.tokens.read(r.Header.Get("Authorization"), access, s.now())
				if err != nil {
					unauthorized(w, err.Error())
					return
				}
				brought.who = who
			}
			if r.Method == http.MethodPost && x.work > 0 && !pause(r.Context(), x.work) {
				abandon()
			}
			handle(s, w, r, brought)
		},
	}
}

// unknown answers 405 where another method would do, and else 404.
func (s *ERIOP) unknown(r *http.Request, path string) call {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		fixed, variable := eriopRoutes[m+" "+r.URL.Path], eriopRoutes[m+" "+path]
		if fixed != nil || variable != nil || m+" "+path == routeHealth || m+" "+path == routeMetrics {
			allowed = append(allowed, m)
		}
	}
	method := knownMethod(r.Method)
	if allowed == nil {
		return call{route: method + " (unknown)", answer: func(w http.ResponseWriter, _ *http.Request, _ fate) {
			writeDetail(w, http.StatusNotFound, "Not Found")
		}}
	}
	return call{route: method + " " + path, answer: func(w http.ResponseWriter, _ *http.Request, _ fate) {
		writeNotAllowed(w, strings.Join(allowed, ", "))
	}}
}

func unauthorized(w http.ResponseWriter, why string) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeDetail(w, http.StatusUnauthorized, why)
}

// fail answers what a store has said. A client that has left gets nothing.
func fail(w http.ResponseWriter, r *http.Request, err error, what string) {
	switch {
	case r.Context().Err() != nil:
		abandon()
	case errors.Is(err, errAbsent):
		writeDetail(w, http.StatusNotFound, what+" not found")
	case errors.Is(err, errUnstored):
		writeDetail(w, http.StatusUnprocessableEntity, err.Error())
	default:
		writeDetail(w, http.StatusInternalServerError, "Internal Server Error: "+err.Error())
	}
}

const (
	mostFailures = 5
	lockedFor    = 30 * time.Minute
	badLogin     = "Invalid email or password"
)

type tokenAnswer struct {
	AccessToken  *string `json:"access_token"`
	RefreshToken *string `json:"refresh_token"`
	TokenType    string  `json:"token_type"`
	MFARequired  bool    `json:"mfa_required"`
	MFATempToken *string `json:"mfa_temp_token"`
}

// login checks the password against the stored hash, each time: it takes what
// the hash's cost says, on as many cores as verifying has room for.
func (s *ERIOP) login(w http.ResponseWriter, r *http.Request, in visit) {
	c, faults := readCredentials(r.Header.Get("Content-Type"), in.body)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	who, err := s.store.accountByEmail(r.Context(), c.email)
	if errors.Is(err, errAbsent) || err == nil && !who.active {
		unauthorized(w, badLogin)
		return
	}
	if err != nil {
		fail(w, r, err, "User")
		return
	}
	attempt := login{who: who.ID, email: who.Email, at: s.now(), agent: r.UserAgent()}
	attempt.from, _, _ = net.SplitHostPort(r.RemoteAddr)
	if attempt.at.Before(who.lockedUntil) {
		unauthorized(w, "Account is locked due to too many failed login attempts")
		return
	}
	select {
	case s.verifying <- struct{}{}:
	case <-r.Context().Done():
		abandon()
	}
	attempt.good = bcrypt.CompareHashAndPassword([]byte(who.hash), []byte(c.password)) == nil
	<-s.verifying
	if err := s.store.recordLogin(r.Context(), attempt); err != nil {
		fail(w, r, err, "User")
		return
	}
	switch {
	case !attempt.good:
		unauthorized(w, badLogin)
	case who.MFAEnabled && c.code != "":
		unauthorized(w, "Invalid MFA code") // there is none that this system could know
	case who.MFAEnabled:
		pending := s.tokens.issue(who, second, s.now())
		writeValue(w, http.StatusOK, tokenAnswer{TokenType: "bearer", MFARequired: true, MFATempToken: &pending})
	default:
		s.answerTokens(w, who)
	}
}

func (s *ERIOP) answerTokens(w http.ResponseWriter, who account) {
	a, f := s.tokens.issue(who, access, s.now()), s.tokens.issue(who, refresh, s.now())
	writeValue(w, http.StatusOK, tokenAnswer{AccessToken: &a, RefreshToken: &f, TokenType: "bearer"})
}

func (s *ERIOP) refresh(w http.ResponseWriter, r *http.Request, in visit) {
	token, faults := readRefresh(r.Header.Get("Content-Type"), in.body)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	c, err := s.tokens.read("Bearer "+token, refresh, s.now())
	if err != nil {
		unauthorized(w, err.Error())
		return
	}
	who, err := s.store.account(r.Context(), c.UserID)
	if errors.Is(err, errAbsent) || err == nil && !who.active {
		unauthorized(w, errBadToken.Error())
		return
	}
	if err != nil {
		fail(w, r, err, "User")
		return
	}
	s.answerTokens(w, who)
}

func (s *ERIOP) me(w http.ResponseWriter, r *http.Request, in visit) {
	who, err := s.store.account(r.Context(), in.who.UserID)
	if errors.Is(err, errAbsent) {
		unauthorized(w, errBadToken.Error())
		return
	}
	if err != nil {
		fail(w, r, err, "User")
		return
	}
	writeValue(w, http.StatusOK, who)
}

// answerRead answers what all who ask the same at the same time are answered.
func (s *ERIOP) answerRead(w http.ResponseWriter, r *http.Request, query any, read func(context.Context) (any, error)) {
	body, err := s.reads.get(r.Context(), query, func(ctx context.Context) ([]byte, error) {
		v, err := read(ctx)
		if err != nil {
			return nil, err
		}
		return jsonText(v), nil
	})
	if err != nil {
		fail(w, r, err, "Row")
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// pageAnswer is a page of anything.
type pageAnswer struct {
	Items      any `json:"items"`
	Total      int `json:"total"`
	Page       int `json:"page"`
	PageSize   int `json:"page_size"`
	TotalPages int `json:"total_pages"`
}

func pageOf(items any, total int, p slice) pageAnswer {
	return pageAnswer{items, total, p.offset/p.limit + 1, p.limit, (total + p.limit - 1) / p.limit}
}

func (s *ERIOP) activeIncidents(w http.ResponseWriter, r *http.Request, _ visit) {
	q := incidentQuery{urgent: true, slice: slice{limit: s.active}}
	s.answerRead(w, r, q, func(ctx context.Context) (any, error) {
		list, _, err := s.store.incidents(ctx, q)
		return list, err
	})
}

func (s *ERIOP) listIncidents(w http.ResponseWriter, r *http.Request, _ visit) {
	q, faults := readIncidentQuery(r.URL.RawQuery)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	s.answerRead(w, r, q, func(ctx context.Context) (any, error) {
		list, total, err := s.store.incidents(ctx, q)
		return pageOf(list, total, q.slice), err
	})
}

// whichOne reads the id of a path, or answers.
func whichOne(w http.ResponseWriter, in visit, what string) (id, bool) {
	which, ok := parseID(in.which)
	if !ok {
		writeDetail(w, http.StatusBadRequest, "Invalid "+what+" ID format")
	}
	return which, ok
}

func (s *ERIOP) oneIncident(w http.ResponseWriter, r *http.Request, in visit) {
	which, ok := whichOne(w, in, "incident")
	if !ok {
		return
	}
	one, err := s.store.incident(r.Context(), which)
	if err != nil {
		fail(w, r, err, "Incident")
		return
	}
	writeValue(w, http.StatusOK, one)
}

func (s *ERIOP) createIncident(w http.ResponseWriter, r *http.Request, in visit) {
	made, alert, faults := readIncident(r.Header.Get("Content-Type"), in.body)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	if in.who.AgencyID == nil {
		writeDetail(w, http.StatusBadRequest, "User must belong to an agency")
		return
	}
	var source *id
	if alert != nil {
		which, ok := parseID(*alert)
		if !ok {
			writeDetail(w, http.StatusBadRequest, "Invalid source alert ID format")
			return
		}
		source = &which
	}
	at := s.instant()
	made.ID, made.Status, made.AssignedUnits = newID(), "new", noCrew
	made.ReportedAt, made.CreatedAt, made.UpdatedAt = at, at, at
	err := s.store.create(r.Context(), &made, *in.who.AgencyID, source)
	if errors.Is(err, errOrphan) {
		writeDetail(w, http.StatusBadRequest, "The agency or the source alert does not exist")
		return
	}
	if err != nil {
		fail(w, r, err, "Incident")
		return
	}
	if in.fate.wrongBody {
		made.Priority = made.Priority%5 + 1
	}
	writeValue(w, http.StatusCreated, made)
}

func (s *ERIOP) pendingAlerts(w http.ResponseWriter, r *http.Request, _ visit) {
	q := alertQuery{status: "pending", urgent: true, slice: slice{limit: s.pending}}
	s.answerRead(w, r, q, func(ctx context.Context) (any, error) {
		list, _, err := s.store.alerts(ctx, q)
		return list, err
	})
}

func (s *ERIOP) listAlerts(w http.ResponseWriter, r *http.Request, _ visit) {
	q, faults := readAlertQuery(r.URL.RawQuery)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	s.answerRead(w, r, q, func(ctx context.Context) (any, error) {
		list, total, err := s.store.alerts(ctx, q)
		return pageOf(list, total, q.slice), err
	})
}

func (s *ERIOP) oneAlert(w http.ResponseWriter, r *http.Request, in visit) {
	which, ok := whichOne(w, in, "alert")
	if !ok {
		return
	}
	one, err := s.store.alert(r.Context(), which)
	if err != nil {
		fail(w, r, err, "Alert")
		return
	}
	writeValue(w, http.StatusOK, one)
}

func (s *ERIOP) acknowledgeAlert(w http.ResponseWriter, r *http.Request, in visit) {
	notes, faults := readNotes(r.Header.Get("Content-Type"), in.body)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	which, ok := whichOne(w, in, "alert")
	if !ok {
		return
	}
	one, err := s.store.acknowledge(r.Context(), which, in.who.UserID, notes, s.instant())
	if errors.Is(err, errOrphan) { // the user has been deleted since
		unauthorized(w, errBadToken.Error())
		return
	}
	if err != nil {
		fail(w, r, err, "Alert")
		return
	}
	if in.fate.wrongBody {
		one.Status = "dismissed"
	}
	writeValue(w, http.StatusOK, one)
}

func (s *ERIOP) ingestAlert(w http.ResponseWriter, r *http.Request, in visit) {
	made, faults := readAlert(r.Header.Get("Content-Type"), in.body)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	made.ID, made.Status, made.CreatedAt, made.OccurrenceCount = newID(), "pending", s.instant(), 1
	if err := s.store.ingest(r.Context(), &made); err != nil {
		fail(w, r, err, "Alert")
		return
	}
	if in.fate.wrongBody {
		made.Status = "dismissed"
	}
	writeValue(w, http.StatusCreated, made)
}

func (s *ERIOP) availableResources(w http.ResponseWriter, r *http.Request, _ visit) {
	q, faults := readResourceQuery(r.URL.RawQuery)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	q = resourceQuery{kind: q.kind, status: "available"}
	s.answerRead(w, r, q, func(ctx context.Context) (any, error) {
		list, _, err := s.store.resources(ctx, q)
		return list, err
	})
}

func (s *ERIOP) listResources(w http.ResponseWriter, r *http.Request, _ visit) {
	q, faults := readResourceQuery(r.URL.RawQuery)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	if q.agency != "" {
		if _, ok := parseID(q.agency); !ok {
			writeDetail(w, http.StatusBadRequest, "Invalid agency ID format")
			return
		}
	}
	s.answerRead(w, r, q, func(ctx context.Context) (any, error) {
		list, total, err := s.store.resources(ctx, q)
		return pageOf(list, total, q.slice), err
	})
}

// instant is now as the database keeps it: in microseconds.
func (s *ERIOP) instant() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// health says which store answers, so that a report can tell a run against a
// database from one against memory.
func (s *ERIOP) health(w http.ResponseWriter, _ *http.Request, x fate) {
	code, status := http.StatusOK, "healthy"
	if x.notReady {
		code, status = http.StatusServiceUnavailable, "unhealthy"
	}
	writeValue(w, code, struct {
		Status string `json:"status"`
		Store  string `json:"store"`
	}{status, s.store.Name()})
}

// metrics leaves out, as the real system does, /health and itself.
func (s *ERIOP) metrics(w http.ResponseWriter, _ *http.Request, _ fate) {
	answers := s.book.answers()
	delete(answers, routeHealth)
	delete(answers, routeMetrics)
	var b bytes.Buffer
	writeRequestCounters(&b, answers)
	writeMetrics(w, &b)
}

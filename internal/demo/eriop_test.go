package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"tollgate/internal/postgres/postgrestest"
)

// A world is an ERIOP system on one of the stores, under a clock that stands
// still until it is set.
type world struct {
	*ERIOP
	*client
	memory *Memory   // the store, or what the database was filled from
	db     *pgx.Conn // nil: the store is memory
	url    string
	clock  atomic.Int64
}

func (w *world) set(t time.Time) { w.clock.Store(t.UnixNano()) }

// onBothStores runs a claim against the documented rows in memory and in
// PostgreSQL.
func onBothStores(t *testing.T, claim func(t *testing.T, w *world)) {
	t.Run("memory", func(t *testing.T) {
		w := &world{memory: NewMemory()}
		w.serve(t, w.memory)
		claim(t, w)
	})
	t.Run("postgresql", func(t *testing.T) {
		w := onPostgres(t)
		claim(t, w)
	})
}

func onPostgres(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{memory: NewMemory(), url: postgrestest.Database(t)}
	store, err := OpenPostgres(ctx, w.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if w.db, err = pgx.Connect(ctx, w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close(ctx) })
	w.fill(t)
	w.serve(t, store)
	return w
}

func (w *world) serve(t *testing.T, store Store) {
	t.Helper()
	w.ERIOP = NewERIOP(ERIOPOptions{Store: store, PendingLimit: DefaultListed, ActiveLimit: DefaultListed})
	w.set(time.Now())
	w.now = func() time.Time { return time.Unix(0, w.clock.Load()) }
	server, err := Start("127.0.0.1:0", w.ERIOP)
	if err != nil {
		t.Fatal(err)
	}
	w.client = &client{addr: server.Addr}
	t.Cleanup(func() {
		w.close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// fill puts the rows of memory into the database.
func (w *world) fill(t *testing.T) {
	t.Helper()
	var b pgx.Batch
	m := w.memory
	b.Queue("INSERT INTO agencies (id, name, code, is_active) VALUES ($1, 'Load Test Agency', 'LOADTEST', true)", m.units[0].AgencyID)
	for _, u := range m.users {
		b.Queue(`INSERT INTO users (id, email, hashed_password, full_name, badge_number, role, is_active, is_verified, mfa_enabled, failed_login_attempts, agency_id)
			VALUES ($1, $2, $3, $4, $5, $6::text::userrole, true, true, false, 0, $7)`, u.ID, u.Email, u.hash, u.FullName, u.BadgeNumber, u.Role, u.AgencyID)
	}
	for _, r := range m.units {
		b.Queue(`INSERT INTO resources (id, resource_type, status, name, call_sign, current_latitude, current_longitude, agency_id)
			VALUES ($1, $2::text::resourcetype, $3::text::resourcestatus, $4, $5, $6, $7, $8)`, r.ID, r.Kind, r.Status, r.Name, r.CallSign, r.Latitude, r.Longitude, r.AgencyID)
	}
	for _, in := range m.cases {
		b.Queue(`INSERT INTO incidents (id, incident_number, category, priority, status, title, latitude, longitude, address, reported_at, assigned_units, agency_id, created_at)
			VALUES ($1, $2, $3::text::incidentcategory, $4, $5::text::incidentstatus, $6, $7, $8, $9, $10, '[]', $11, $10)`,
			in.ID, in.Number, in.Category, in.Priority, in.Status, in.Title, in.Location.Latitude, in.Location.Longitude, in.Location.Address, in.CreatedAt, m.units[0].AgencyID)
	}
	for _, a := range m.warnings {
		b.Queue(`INSERT INTO alerts (id, source, source_id, severity, status, alert_type, title, raw_payload, received_at, created_at)
			VALUES ($1, $2::text::alertsource, $3, $4::text::alertseverity, $5::text::alertstatus, $6, $7, $8, $9, $9)`,
			a.ID, a.Source, a.SourceID, a.Severity, a.Status, a.Type, a.Title, string(a.RawPayload), a.CreatedAt)
	}
	if err := w.db.SendBatch(context.Background(), &b).Close(); err != nil {
		t.Fatal(err)
	}
}

const js = "application/json"

// ask sends a request below /api/v1 and checks its status.
func (w *world) ask(t *testing.T, method, path, body string, status int) string {
	t.Helper()
	contentType := ""
	if body != "" {
		contentType = js
	}
	resp, text := w.mustDo(t, method, api+path, contentType, body)
	if resp.StatusCode != status {
		t.Errorf("%s %s %s: status %d, want %d: %s", method, path, body, resp.StatusCode, status, text)
	}
	return text
}

func asLogin(email, password string) string {
	return string(jsonText(map[string]any{"email": email, "password": password, "mfa_code": nil}))
}

// enter logs in and sends the token from now on.
func (w *world) enter(t *testing.T, name string) (a tokenAnswer) {
	t.Helper()
	w.also = ""
	read(t, w.ask(t, "POST", "/auth/login", asLogin(name+"@test.eriop.local", DocumentedPassword), 200), &a)
	w.also = "Authorization: Bearer " + *a.AccessToken + "\r\n"
	return a
}

func read(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

const anAlert = `{"source":"axis_microphone","source_id":"device_1234","severity":"critical","alert_type":"gunshot","title":"Alert 2026-01-01",
	"description":"Load test alert","location":{"latitude":45.5,"longitude":-73.5,"address":"17 Alert Street","zone":"Zone 3"},
	"raw_payload":{"test":true,"timestamp":"2026-01-01"},"confidence":0.8,"peak_level_db":101.5,"background_level_db":50}`

const anIncident = `{"category":"fire","priority":1,"title":"Incident 2026-01-01","location":{"latitude":45.5,"longitude":-73.5,"address":"17 Test Street","building_info":null}}`

// without removes a field of an object.
func without(object, field string) string { return with(object, field, "") }

// with sets a field of an object to a JSON text; "" removes it.
func with(object, field, value string) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &fields); err != nil {
		panic(err)
	}
	delete(fields, field)
	if value != "" {
		fields[field] = json.RawMessage(value)
	}
	return string(jsonText(fields))
}

func TestERIOPAnswersWithTheDocumentedCodes(t *testing.T) {
	const noID = "8c6d1f0a-0000-4000-8000-000000000000"
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "dispatcher1")
		for _, tt := range []struct {
			method, path, body string
			status             int
			answer             string // a part
		}{
			{"POST", "/auth/login", asLogin("nobody@test.eriop.local", "x"), 401, `{"detail":"Invalid email or password"}`},
			{"POST", "/auth/login", asLogin("dispatcher2@test.eriop.local", "x"), 401, `{"detail":"Invalid email or password"}`},
			{"POST", "/auth/login", asLogin("not an address", "x"), 422, `"loc":["body","email"],"msg":"value is not a valid email address`},
			{"POST", "/auth/login", `{"email":"a@b.c"}`, 422, `"type":"missing","loc":["body","password"]`},
			{"POST", "/auth/login", `{"email":1,"password":"x"}`, 422, `string_type`},
			{"POST", "/auth/login", `[]`, 422, `model_attributes_type`},
			{"POST", "/auth/login", "", 422, `missing`},
			{"GET", "/auth/login", "", 405, `{"detail":"Method Not Allowed"}`},
			{"POST", "/auth/refresh", `{"refresh_token":"x"}`, 401, `{"detail":"Could not validate credentials"}`},
			{"POST", "/auth/refresh", `{}`, 422, `missing`},
			{"GET", "/auth/me", "", 200, `"full_name":"Dispatcher 1","role":"dispatcher"`},

			{"GET", "/incidents/active", "", 200, `"incident_number":"INC-LOAD-`},
			{"GET", "/incidents", "", 200, `"total":50,"page":1,"page_size":50,"total_pages":1`},
			{"GET", "/incidents?page=3&page_size=20", "", 200, `"total":50,"page":3,"page_size":20,"total_pages":3`},
			{"GET", "/incidents?page=2147483647&page_size=100", "", 200, `"items":[],"total":50`},
			{"GET", "/incidents?page=0", "", 422, `greater_than_equal`},
			{"GET", "/incidents?page_size=101", "", 422, `less_than_equal`},
			{"GET", "/incidents?status=new", "", 200, `"total":12,`},
			{"GET", "/incidents?status=news", "", 422, `"loc":["query","status"]`},
			{"GET", "/incidents?priority=1&incident_type=fire", "", 200, `"total":10,`},
			{"GET", "/incidents?priority=6", "", 422, `"loc":["query","priority"]`},
			{"GET", "/incidents?incident_type=weather", "", 200, `"items":[],"total":0,"page":1,"page_size":50,"total_pages":0`},
			{"GET", "/incidents?building_id=" + noID, "", 200, `"total":0,`},
			{"GET", "/incidents?building_id=x", "", 422, `uuid_parsing`},
			{"GET", "/incidents/" + noID, "", 404, `{"detail":"Incident not found"}`},
			{"GET", "/incidents/x", "", 400, `{"detail":"Invalid incident ID format"}`},
			{"POST", "/incidents", anIncident, 201, `"incident_number":"INC-`},
			{"POST", "/incidents", without(anIncident, "priority"), 201, `"priority":3,"status":"new"`},
			{"POST", "/incidents", with(anIncident, "priority", "2.0"), 201, `"priority":2,`},
			{"POST", "/incidents", with(anIncident, "priority", "2.5"), 422, `int_from_float`},
			{"POST", "/incidents", with(anIncident, "priority", `"2"`), 422, `float_type`},
			{"POST", "/incidents", with(anIncident, "priority", "null"), 422, `float_type`},
			{"POST", "/incidents", with(anIncident, "priority", "6"), 422, `less_than_equal`},
			{"POST", "/incidents", with(anIncident, "category", `"weather"`), 422, `"loc":["body","category"]`},
			{"POST", "/incidents", with(anIncident, "title", `"four"`), 422, `string_too_short`},
			{"POST", "/incidents", with(anIncident, "title", `"`+strings.Repeat("é", 200)+`"`), 201, `éé`},
			{"POST", "/incidents", with(anIncident, "title", `"`+strings.Repeat("é", 201)+`"`), 422, `string_too_long`},
			{"POST", "/incidents", with(anIncident, "location", `{"latitude":91,"longitude":-181}`), 422, `"loc":["body","location","longitude"]`},
			{"POST", "/incidents", with(anIncident, "location", `null`), 422, `model_attributes_type`},
			{"POST", "/incidents", with(anIncident, "source_alert_id", `"x"`), 400, `{"detail":"Invalid source alert ID format"}`},
			{"POST", "/incidents", with(anIncident, "source_alert_id", `"`+noID+`"`), 400, `does not exist`},
			{"PUT", "/incidents", anIncident, 405, `Method Not Allowed`},

			{"GET", "/alerts/pending", "", 200, `"severity":"critical"`},
			{"GET", "/alerts", "", 200, `"total":100,"page":1,"page_size":50,"total_pages":2`},
			{"GET", "/alerts?status=acknowledged&severity=critical", "", 200, `"total":13,`},
			{"GET", "/alerts?alert_type=gunshot", "", 200, `"total":16,`},
			{"GET", "/alerts?alert_type=unheard_of", "", 200, `"total":0,`},
			{"GET", "/alerts?alert_type=%00", "", 422, `"loc":["query","alert_type"]`},
			{"GET", "/alerts?alert_type=%ff", "", 422, `"loc":["query","alert_type"]`},
			{"GET", "/alerts?severity=bad", "", 422, `"loc":["query","severity"]`},
			{"GET", "/alerts/" + noID, "", 404, `{"detail":"Alert not found"}`},
			{"GET", "/alerts/ingest", "", 400, `{"detail":"Invalid alert ID format"}`},
			{"POST", "/alerts/" + noID + "/acknowledge", `{"notes":null}`, 404, `{"detail":"Alert not found"}`},
			{"POST", "/alerts/x/acknowledge", `{"notes":null}`, 400, `{"detail":"Invalid alert ID format"}`},
			{"POST", "/alerts/" + noID + "/acknowledge", `{"notes":1}`, 422, `string_type`},
			{"POST", "/alerts/" + noID + "/dismiss", `{}`, 404, `{"detail":"Not Found"}`},
			{"POST", "/alerts/ingest", anAlert, 201, `"raw_payload":{"test":true,"timestamp":"2026-01-01"}`},
			{"POST", "/alerts/ingest", `{"source":"manual","severity":"info","alert_type":"x","title":"x"}`, 201, `"location":null,"raw_payload":null`},
			{"POST", "/alerts/ingest", without(anAlert, "source"), 422, `"type":"missing","loc":["body","source"]`},
			{"POST", "/alerts/ingest", with(anAlert, "source", `"iot_telemetry"`), 422, `"type":"enum"`},
			{"POST", "/alerts/ingest", with(anAlert, "severity", `"urgent"`), 422, `"type":"enum"`},
			{"POST", "/alerts/ingest", with(anAlert, "confidence", `"0.8"`), 422, `float_type`},
			{"POST", "/alerts/ingest", with(anAlert, "confidence", `1.5`), 422, `less_than_equal`},
			{"POST", "/alerts/ingest", with(anAlert, "raw_payload", `[]`), 422, `model_attributes_type`},

			{"GET", "/resources/available", "", 200, `"capabilities":[]`},
			{"GET", "/resources/available?resource_type=boat", "", 422, `"loc":["query","resource_type"]`},
			{"GET", "/resources", "", 200, `"total":100,"page":1,"page_size":50,"total_pages":2`},
			{"GET", "/resources?resource_type=vehicle&status=out_of_service", "", 200, `"total":10,`},
			{"GET", "/resources?agency_id=" + noID, "", 200, `"total":0,`},
			{"GET", "/resources?agency_id=x", "", 400, `{"detail":"Invalid agency ID format"}`},
			{"GET", "/nowhere", "", 404, `{"detail":"Not Found"}`},
		} {
			if text := w.ask(t, tt.method, tt.path, tt.body, tt.status); !strings.Contains(text, tt.answer) {
				t.Errorf("%s %s %s: %q is missing in %.600s", tt.method, tt.path, tt.body, tt.answer, text)
			}
		}
	})
}

func TestEverythingButTheLoginWantsAToken(t *testing.T) {
	w := &world{memory: NewMemory()}
	w.serve(t, w.memory)
	for route := range eriopRoutes {
		if open[route] {
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		for header, why := range map[string]string{
			"":                                        "Not authenticated",
			"Authorization: Basic eDp5\r\n":           "Not authenticated",
			"Authorization: Bearer \r\n":              "Not authenticated",
			"Authorization: Bearer x\r\n":             "Could not validate credentials",
			"Authorization: Bearer a.b.c\r\n":         "Could not validate credentials",
			"Authorization: Bearer " + "..." + "\r\n": "Could not validate credentials",
		} {
			w.also = header
			resp, text := w.mustDo(t, method, strings.ReplaceAll(path, "{id}", newID().String()), js, "{}")
			if resp.StatusCode != 401 || text != `{"detail":"`+why+`"}` || resp.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %q: %d %s", route, header, resp.StatusCode, text)
			}
		}
	}
}

func TestLoginAnswersTokensOfTheAccount(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		text := w.ask(t, "POST", "/auth/login", asLogin("responder7@test.eriop.local", DocumentedPassword), 200)
		if n := len(text); n < 600 || n > 900 {
			t.Errorf("%d bytes, the real system's has 688: %s", n, text)
		}
		var a struct {
			tokenAnswer
			MFATempToken json.RawMessage `json:"mfa_temp_token"`
		}
		read(t, text, &a)
		if a.TokenType != "bearer" || a.MFARequired || string(a.MFATempToken) != "null" {
			t.Errorf("%s", text)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(*a.AccessToken, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		read(t, string(payload), &got)
		want := w.memory.byEmail["responder7@test.eriop.local"]
		if diff := cmp.Diff(map[string]any{
			"sub": want.ID.String(), "user_id": want.ID.String(), "email": want.Email, "role": "responder", "type": "access",
			"agency_id": want.AgencyID.String(), "exp": float64(w.now().Add(30 * time.Minute).Unix()),
		}, got); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}

		w.enter(t, "responder7")
		if diff := cmp.Diff(string(jsonText(want.account)), w.ask(t, "GET", "/auth/me", "", 200)); diff != "" {
			t.Errorf("who one is (-want +got):\n%s", diff)
		}
		contains(t, w.ask(t, "GET", "/auth/me", "", 200), `"badge_number":"R0007","is_verified":true,"mfa_enabled":false`)
		if got := w.logins(t); got != 2 {
			t.Errorf("%d audit rows for 2 logins", got)
		}
	})
}

// logins counts the audit rows of logins that succeeded.
func (w *world) logins(t *testing.T) int {
	t.Helper()
	if w.db == nil {
		w.memory.mu.RLock()
		defer w.memory.mu.RUnlock()
		return w.memory.logins
	}
	return w.count(t, "audit_logs WHERE action = 'login'")
}

func (w *world) count(t *testing.T, from string) (n int) {
	t.Helper()
	if err := w.db.QueryRow(context.Background(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A password that was right before may not be right any more: a memory of
// verifications would let it in.
func TestEachLoginChecksTheStoredHash(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		const email = "dispatcher3@test.eriop.local"
		w.enter(t, "dispatcher3")
		hash, err := bcrypt.GenerateFromPassword([]byte("another"), 5) // not the cost of the others
		if err != nil {
			t.Fatal(err)
		}
		if w.db == nil {
			w.memory.byEmail[email].hash = string(hash)
		} else if _, err := w.db.Exec(context.Background(), "UPDATE users SET hashed_password = $1 WHERE email = $2", string(hash), email); err != nil {
			t.Fatal(err)
		}
		w.ask(t, "POST", "/auth/login", asLogin(email, DocumentedPassword), 401)
		w.ask(t, "POST", "/auth/login", asLogin(email, "another"), 200)
	})
}

func TestFiveBadPasswordsLockAnAccountForHalfAnHour(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		const email = "dispatcher4@test.eriop.local"
		good, bad := asLogin(email, DocumentedPassword), asLogin(email, "wrong")
		for range 4 {
			w.ask(t, "POST", "/auth/login", bad, 401)
		}
		w.ask(t, "POST", "/auth/login", good, 200) // and the count begins anew
		for range 5 {
			contains(t, w.ask(t, "POST", "/auth/login", bad, 401), "Invalid email or password")
		}
		contains(t, w.ask(t, "POST", "/auth/login", good, 401), "locked")
		w.ask(t, "POST", "/auth/login", asLogin("dispatcher5@test.eriop.local", DocumentedPassword), 200)
		w.set(w.now().Add(30*time.Minute - time.Second))
		contains(t, w.ask(t, "POST", "/auth/login", good, 401), "locked")
		w.set(w.now().Add(time.Second))
		w.ask(t, "POST", "/auth/login", good, 200)
		if got := w.logins(t); got != 3 {
			t.Errorf("%d audit rows for 3 logins", got)
		}
	})
}

func TestTokensExpire(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		began := w.now()
		a := w.enter(t, "dispatcher1")
		w.set(began.Add(29*time.Minute + 58*time.Second))
		w.ask(t, "GET", "/auth/me", "", 200)
		w.set(began.Add(30 * time.Minute))
		contains(t, w.ask(t, "GET", "/auth/me", "", 401), "Token has expired")
		w.ask(t, "POST", "/alerts/ingest", anAlert, 401)

		var fresh tokenAnswer
		w.set(began.Add(6 * 24 * time.Hour))
		read(t, w.ask(t, "POST", "/auth/refresh", `{"refresh_token":"`+*a.RefreshToken+`"}`, 200), &fresh)
		w.ask(t, "POST", "/auth/refresh", `{"refresh_token":"`+*fresh.AccessToken+`"}`, 401) // of the other kind
		w.also = "Authorization: Bearer " + *fresh.AccessToken + "\r\n"
		w.ask(t, "GET", "/auth/me", "", 200)
		w.also = "Authorization: Bearer " + *fresh.RefreshToken + "\r\n"
		w.ask(t, "GET", "/auth/me", "", 401)
		w.set(began.Add(7 * 24 * time.Hour))
		w.ask(t, "POST", "/auth/refresh", `{"refresh_token":"`+*a.RefreshToken+`"}`, 401)
	})
}

func TestForgedTokensAreRefused(t *testing.T) {
	now := time.Now()
	ours, theirs := newTokens(), newTokens()
	who := account{ID: newID(), Email: "a@b.c"}
	good := ours.issue(who, access, now)
	if c, err := ours.read("bearer "+good, access, now); err != nil || c.UserID != who.ID {
		t.Errorf("%+v, %v", c, err)
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	signed := func(body string) string { return body + "." + ours.signature(body) }
	for name, token := range map[string]string{
		"another's key":       theirs.issue(who, access, now),
		"no signature":        parts[0] + "." + parts[1] + ".",
		"no algorithm":        none + "." + parts[1] + ".",
		"our key, other head": signed(none + "." + parts[1]),
		"our key, no claims":  signed(jwtHeader + ".e30"),
		"our key, no JSON":    signed(jwtHeader + ".eA"),
		"our key, no base64":  signed(jwtHeader + ".%"),
		"changed claims":      parts[0] + ".x" + parts[1] + "." + parts[2],
	} {
		if _, err := ours.read("Bearer "+token, access, now); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
}

func TestSecondFactorGivesNoToken(t *testing.T) {
	w := &world{memory: NewMemory()}
	w.memory.byEmail["dispatcher1@test.eriop.local"].MFAEnabled = true
	w.serve(t, w.memory)
	text := w.ask(t, "POST", "/auth/login", asLogin("dispatcher1@test.eriop.local", DocumentedPassword), 200)
	contains(t, text, `{"access_token":null,"refresh_token":null,"token_type":"bearer","mfa_required":true,"mfa_temp_token":"ey`)
}

func TestUrgentListsAreByRankAndThenTheNewest(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "dispatcher1")
		var first alert
		for i, severity := range []string{"info", "critical", "critical", "low"} {
			w.set(w.now().Add(time.Second))
			var made alert
			read(t, w.ask(t, "POST", "/alerts/ingest", with(anAlert, "severity", `"`+severity+`"`), 201), &made)
			if i == 2 {
				first = made
			}
		}
		var pending []alert
		read(t, w.ask(t, "GET", "/alerts/pending", "", 200), &pending)
		if len(pending) != 54 || pending[0].ID != first.ID {
			t.Fatalf("%d pending alerts, of which the first is %+v, not %+v", len(pending), pending[0], first)
		}
		if !slices.IsSortedFunc(pending, func(a, b alert) int {
			if a.Severity != b.Severity {
				return slices.Index(alertSeverities, a.Severity) - slices.Index(alertSeverities, b.Severity)
			}
			return b.CreatedAt.Compare(a.CreatedAt)
		}) {
			t.Error("pending alerts are out of order")
		}
		w.pending = 3
		read(t, w.ask(t, "GET", "/alerts/pending", "", 200), &pending)
		if len(pending) != 3 || pending[0].ID != first.ID {
			t.Errorf("%d pending alerts under a limit of 3", len(pending))
		}

		w.set(w.now().Add(time.Second))
		var made incident
		read(t, w.ask(t, "POST", "/incidents", anIncident, 201), &made)
		var active []incident
		read(t, w.ask(t, "GET", "/incidents/active", "", 200), &active)
		if len(active) != 51 || active[0].ID != made.ID || active[50].Priority != 5 {
			t.Errorf("%d active incidents, of which the first is %+v", len(active), active[0])
		}
		w.active = 7
		read(t, w.ask(t, "GET", "/incidents/active", "", 200), &active)
		if len(active) != 7 {
			t.Errorf("%d active incidents under a limit of 7", len(active))
		}

		var free []map[string]any
		read(t, w.ask(t, "GET", "/resources/available", "", 200), &free)
		if len(free) != 75 {
			t.Errorf("%d available resources, want 75", len(free))
		}
		read(t, w.ask(t, "GET", "/resources/available?resource_type=equipment&page_size=1", "", 200), &free)
		if len(free) != 15 || free[0]["latitude"] != nil {
			t.Errorf("%d available pieces of equipment, want 15: %v", len(free), free[0])
		}
	})
}

func TestWhatIsMadeCanBeRead(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "dispatcher1")
		text := w.ask(t, "POST", "/alerts/ingest", anAlert, 201)
		var a alert
		read(t, text, &a)
		if got := w.ask(t, "GET", "/alerts/"+a.ID.String(), "", 200); got != text {
			t.Errorf("ingested\n%s\nand read\n%s", text, got)
		}
		if n := len(text); n < 650 || n > 850 {
			t.Errorf("an alert has %d bytes, the real system's about 720", n)
		}
		text = w.ask(t, "POST", "/incidents", with(anIncident, "source_alert_id", `"`+a.ID.String()+`"`), 201)
		var in incident
		read(t, text, &in)
		if got := w.ask(t, "GET", "/incidents/"+in.ID.String(), "", 200); got != text {
			t.Errorf("made\n%s\nand read\n%s", text, got)
		}
		if n := len(text); n < 400 || n > 520 {
			t.Errorf("an incident has %d bytes, the real system's 430 to 490", n)
		}
		contains(t, w.ask(t, "GET", "/alerts/"+a.ID.String(), "", 200), `"linked_incident_id":"`+in.ID.String()+`"`)
	})
}

func TestFirstAcknowledgementStands(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "dispatcher1")
		var a, again alert
		read(t, w.ask(t, "POST", "/alerts/ingest", anAlert, 201), &a)
		path := "/alerts/" + a.ID.String()
		text := w.ask(t, "POST", path+"/acknowledge", `{"notes":"seen"}`, 200)
		read(t, text, &a)
		if a.Status != "acknowledged" || a.AcknowledgedAt == nil || *a.AcknowledgedBy != w.memory.byEmail["dispatcher1@test.eriop.local"].ID {
			t.Errorf("%s", text)
		}
		w.enter(t, "dispatcher2")
		w.set(w.now().Add(time.Minute))
		for _, body := range []string{`{"notes":"late"}`, `{"notes":null}`, ""} {
			read(t, w.ask(t, "POST", path+"/acknowledge", body, 200), &again)
			if diff := cmp.Diff(a, again, cmp.AllowUnexported(alert{})); diff != "" {
				t.Errorf("another acknowledgement changed it (-first +later):\n%s", diff)
			}
		}
		notes := ""
		if w.db == nil {
			notes = *w.memory.byWarning[a.ID].notes
		} else if err := w.db.QueryRow(context.Background(), "SELECT acknowledgment_notes FROM alerts WHERE id = $1", a.ID).Scan(&notes); err != nil {
			t.Fatal(err)
		}
		if notes != "seen" {
			t.Errorf("the notes are %q", notes)
		}
		if strings.Contains(w.ask(t, "GET", "/alerts/pending", "", 200), a.ID.String()) {
			t.Error("what is acknowledged is still pending")
		}
	})
}

func TestUserWithoutAgencyMakesNoIncident(t *testing.T) {
	w := &world{memory: NewMemory()}
	w.memory.byEmail["dispatcher1@test.eriop.local"].AgencyID = nil
	w.serve(t, w.memory)
	w.enter(t, "dispatcher1")
	contains(t, w.ask(t, "POST", "/incidents", anIncident, 400), "agency")
}

// TestNoAlertIsLost is what the load test's promise of zero loss is checked
// against: what was acknowledged is stored, what was refused is not.
func TestNoAlertIsLost(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "alertsystem1")
		const clients, each = 16, 40
		// A lone surrogate: JSON has it, jsonb does not.
		bad := with(anAlert, "raw_payload", `{"x":"\ud800"}`)
		var made, refused atomic.Int64
		ids := sync.Map{}
		var running sync.WaitGroup
		for k := range clients {
			running.Go(func() {
				c := &client{addr: w.addr, also: w.also}
				defer c.close()
				for i := range each {
					body := anAlert
					if (i+k)%7 == 0 {
						body = bad
					}
					resp, text, err := c.do("POST", api+"/alerts/ingest", js, body)
					switch {
					case err != nil:
						t.Error(err)
					case resp.StatusCode == 201:
						made.Add(1)
						var a alert
						if err := json.Unmarshal([]byte(text), &a); err != nil {
							t.Error(err)
						}
						if _, twice := ids.LoadOrStore(a.ID, true); twice {
							t.Errorf("two alerts are %v", a.ID)
						}
					case resp.StatusCode == 422 && body == bad:
						refused.Add(1)
					default:
						t.Errorf("%d for %s: %s", resp.StatusCode, body, text)
					}
				}
			})
		}
		running.Wait()
		var page pageAnswer
		read(t, w.ask(t, "GET", "/alerts", "", 200), &page)
		if int64(page.Total) != 100+made.Load() {
			t.Errorf("%d alerts, of which 100 were there and %d acknowledged", page.Total, made.Load())
		}
		ledger := w.Ledger()
		const route = "POST " + api + "/alerts/ingest"
		want := map[int]uint64{201: uint64(made.Load())}
		if n := refused.Load(); n > 0 {
			want[422] = uint64(n)
		}
		if diff := cmp.Diff(want, ledger.Status[route]); diff != "" || ledger.Requests[route] != clients*each {
			t.Errorf("ledger: %d requests (-client's +ledger's):\n%s", ledger.Requests[route], diff)
		}
		if w.db != nil {
			if got := w.count(t, "alerts WHERE description IS NOT NULL"); int64(got) != made.Load() || refused.Load() == 0 {
				t.Errorf("%d rows for %d acknowledged alerts; %d were refused", got, made.Load(), refused.Load())
			}
		}
	})
}

func TestLedgerOfERIOPAgreesWithItsClients(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "dispatcher1")
		var pending []alert
		read(t, w.ask(t, "GET", "/alerts/pending", "", 200), &pending)
		w.ResetLedger()
		head := pending[0].ID.String()
		const clients, each = 8, 27
		counts := make([]Ledger, clients)
		var running sync.WaitGroup
		for k := range clients {
			running.Go(func() {
				c := &client{addr: w.addr, also: w.also}
				defer c.close()
				for i := range each {
					do := []struct{ method, path, row, body string }{
						{"GET", "/incidents/active", "/incidents/active", ""}, {"GET", "/alerts/pending", "/alerts/pending", ""},
						{"POST", "/incidents", "/incidents", anIncident}, {"POST", "/alerts/" + head + "/acknowledge", "/alerts/{id}/acknowledge", "{}"},
						{"GET", "/alerts/" + head, "/alerts/{id}", ""}, {"POST", "/alerts/ingest", "/alerts/ingest", anAlert},
						{"POST", "/auth/login", "/auth/login", asLogin("responder1@test.eriop.local", DocumentedPassword)},
						{"GET", "/resources?page=2", "/resources", ""}, {"GET", "/incidents/x", "/incidents/{id}", ""},
					}[(i+k)%9]
					resp, text, err := c.do(do.method, api+do.path, js, do.body)
					if err != nil || resp.StatusCode >= 500 {
						t.Errorf("%s %s: %v, %s", do.method, do.path, err, text)
						continue
					}
					bump(&counts[k].Requests, do.method+" "+api+do.row, 1)
					bumpStatus(&counts[k], do.method+" "+api+do.row, resp.StatusCode)
				}
			})
		}
		running.Wait()
		var want Ledger
		for _, one := range counts {
			for row, n := range one.Requests {
				bump(&want.Requests, row, n)
			}
			for row, codes := range one.Status {
				for code, n := range codes {
					for range n {
						bumpStatus(&want, row, code)
					}
				}
			}
		}
		got := w.Ledger()
		if diff := cmp.Diff(want, Ledger{Requests: got.Requests, Status: got.Status}); diff != "" || got.Total != clients*each {
			t.Errorf("%d requests (-clients' +ledger's):\n%s", got.Total, diff)
		}
	})
}

func TestIncidentNumbersAreUniqueAcrossSystems(t *testing.T) {
	w := onPostgres(t)
	other, err := OpenPostgres(context.Background(), w.url) // and this finds the tables there
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	agency := w.memory.units[0].AgencyID
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const writers, each = 8, 15
	var running sync.WaitGroup
	for k := range writers {
		running.Go(func() {
			store := []Store{w.store, other}[k%2]
			for range each {
				in := incident{ID: newID(), Category: "fire", Status: "new", CreatedAt: day, AssignedUnits: noCrew}
				if err := store.create(context.Background(), &in, agency, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if got := w.count(t, "incidents WHERE incident_number LIKE 'INC-20260301-0%'"); got != writers*each {
		t.Errorf("%d incidents are numbered, want %d", got, writers*each)
	}
}

func TestSchemaHasTheSevenRolesHoweverOftenItIsApplied(t *testing.T) {
	ctx := context.Background()
	url := postgrestest.Database(t)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			store, err := OpenPostgres(ctx, url)
			if err != nil {
				t.Error(err)
				return
			}
			store.Close()
		})
	}
	running.Wait()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT name || ' ' || hierarchy_level FROM roles ORDER BY hierarchy_level")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	want := []string{"system_admin 0", "agency_admin 10", "commander 20", "dispatcher 30", "field_unit_leader 40", "responder 50", "public_user 100"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v; roles (-want +got):\n%s", err, diff)
	}
}

func TestHostileBodiesAreRefusedAndNothingElse(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.enter(t, "dispatcher1")
		deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
		for _, body := range []string{
			"", "null", "{", "{}{}", `"x"`, "[]", "\xff", `{"title":"` + "\xff" + `"}`, strings.Repeat("[", 100_000),
			with(anAlert, "title", `"a\u0000b"`), with(anAlert, "raw_payload", `{"a":"\u0000"}`), with(anAlert, "raw_payload", `{"\u0000":1}`),
			with(anAlert, "source_id", `"`+strings.Repeat("x", 256)+`"`), with(anAlert, "peak_level_db", "1e999"),
			with(anAlert, "location", `{"latitude":1e400,"longitude":0}`), with(anAlert, "location", `{"latitude":"1","longitude":[]}`),
			with(anAlert, "title", "{}"), with(anAlert, "title", "null"),
		} {
			for _, path := range []string{"/alerts/ingest", "/incidents", "/auth/login", "/auth/refresh"} {
				if text := w.ask(t, "POST", path, body, 422); !json.Valid([]byte(text)) {
					t.Errorf("%s %.40q: %.100s", path, body, text)
				}
			}
		}
		// What only a database refuses is a 422 too, and what it takes a 201.
		for _, payload := range []string{deep, `{"a":1e999999}`, `{"a":"\ud800"}`} {
			resp, text := w.mustDo(t, "POST", api+"/alerts/ingest", js, with(anAlert, "raw_payload", payload))
			if resp.StatusCode != 422 && resp.StatusCode != 201 {
				t.Errorf("%.20s: %d %.200s", payload, resp.StatusCode, text)
			}
		}
		w.ask(t, "POST", "/alerts/ingest", with(anAlert, "raw_payload", `{"a":"\\u0000","b":"\"\\"}`), 201)
		w.ask(t, "POST", "/alerts/ingest", with(anAlert, "title", `"x'; DROP TABLE alerts; --"`), 201)
		w.ask(t, "POST", "/alerts/ingest", `{"x":"`+strings.Repeat("x", maxBody)+`"}`, 413)
		w.ask(t, "GET", "/alerts?alert_type=x'%20OR%20true", "", 200)
	})
}

func FuzzERIOPBodies(f *testing.F) {
	for _, body := range []string{anAlert, anIncident, asLogin("a@b.c", "x"), "{}", `{"notes":"\u0000"}`, `{"location":{"latitude":1}}`, `{"raw_payload":{"a":"\\"}}`} {
		f.Add([]byte(body))
	}
	m := NewMemory()
	s := NewERIOP(ERIOPOptions{Store: m})
	token := s.tokens.issue(m.byEmail["dispatcher1@test.eriop.local"].account, access, time.Now())
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/alerts/ingest", "/incidents", "/auth/login", "/auth/refresh", "/alerts/" + m.warnings[0].ID.String() + "/acknowledge"} {
			r := httptest.NewRequest("POST", api+path, strings.NewReader(string(body)))
			r.Header.Set("Content-Type", js)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			switch w.Code {
			case 200, 201, 400, 401, 422:
			default:
				t.Errorf("%s %q: %d %s", path, body, w.Code, w.Body)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %q: no JSON: %s", path, body, w.Body)
			}
		}
	})
}

func TestMetricsOfERIOPCountWhatTheLedgerCounts(t *testing.T) {
	w := &world{memory: NewMemory()}
	w.serve(t, w.memory)
	w.enter(t, "dispatcher1")
	for range 3 {
		w.ask(t, "POST", "/alerts/ingest", anAlert, 201)
	}
	w.ask(t, "POST", "/alerts/ingest", "{}", 422)
	w.ask(t, "GET", "/incidents/x", "", 400)
	health := w.get(t, "/health")
	if health != `{"status":"healthy","store":"memory"}` {
		t.Errorf("health: %s", health)
	}
	text := w.get(t, "/metrics")
	contains(t, text, "# TYPE http_requests_total counter",
		`http_requests_total{handler="/api/v1/alerts/ingest",method="POST",status="2xx"} 3`,
		`http_requests_total{handler="/api/v1/alerts/ingest",method="POST",status="4xx"} 1`,
		`http_requests_total{handler="/api/v1/auth/login",method="POST",status="2xx"} 1`,
		`http_requests_total{handler="/api/v1/incidents/{id}",method="GET",status="4xx"} 1`)
	if strings.Contains(text, "/health") || strings.Contains(w.get(t, "/metrics"), "/metrics") {
		t.Errorf("the probes count themselves:\n%s", text)
	}
}

func TestKnobsReachERIOP(t *testing.T) {
	w := &world{memory: NewMemory()}
	w.serve(t, w.memory)
	w.enter(t, "dispatcher1")
	if err := w.SetKnobs(Knobs{WrongBodies: 1}); err != nil {
		t.Fatal(err)
	}
	contains(t, w.ask(t, "POST", "/alerts/ingest", anAlert, 201), `"status":"dismissed"`)
	contains(t, w.ask(t, "POST", "/incidents", anIncident, 201), `"priority":2`)
	if err := w.SetKnobs(Knobs{Errors: 1, Only: "POST " + api + "/alerts/ingest", NotReady: true}); err != nil {
		t.Fatal(err)
	}
	w.ask(t, "POST", "/alerts/ingest", anAlert, 503)
	w.ask(t, "GET", "/auth/me", "", 200)
	if resp, _ := w.mustDo(t, "GET", "/health", "", ""); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("health is %d while not ready", resp.StatusCode)
	}
}

func TestDatabaseThatIsGoneIsAnErrorAndNoSuccess(t *testing.T) {
	w := onPostgres(t)
	w.enter(t, "dispatcher1")
	if _, err := w.db.Exec(context.Background(), "ALTER TABLE alerts RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/alerts/pending", "/alerts", "/alerts/" + newID().String()} {
		contains(t, w.ask(t, "GET", path, "", 500), "Internal Server Error", "alerts")
	}
	w.ask(t, "POST", "/alerts/ingest", anAlert, 500)
}

func ExampleNewERIOP() {
	server, err := Start("127.0.0.1:0", NewERIOP(ERIOPOptions{Store: NewMemory()}))
	if err != nil {
		panic(err)
	}
	defer server.Close()
	c := &client{addr: server.Addr}
	defer c.close()
	resp, _, err := c.do("POST", "/api/v1/auth/login", "application/json",
		`{"email": "dispatcher1@test.eriop.local", "password": "`+DocumentedPassword+`"}`)
	fmt.Println(resp.StatusCode, err)
	// Output: 200 <nil>
}

// BenchmarkERIOP is what the system itself costs a request: no network, and a
// store that answers at once.
func BenchmarkERIOP(b *testing.B) {
	m := NewMemory()
	s := NewERIOP(ERIOPOptions{Store: m, PendingLimit: DefaultListed, ActiveLimit: DefaultListed})
	token := s.tokens.issue(m.byEmail["dispatcher1@test.eriop.local"].account, access, time.Now())
	for _, bm := range []struct{ name, method, path, body string }{
		{"ingest", "POST", "/alerts/ingest", anAlert},
		{"incident", "POST", "/incidents", anIncident},
		{"pending", "GET", "/alerts/pending", ""},
		{"active", "GET", "/incidents/active", ""},
		{"me", "GET", "/auth/me", ""},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(bm.method, api+bm.path, strings.NewReader(bm.body))
				r.Header.Set("Content-Type", js)
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code >= 300 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}

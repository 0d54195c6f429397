package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Memory is a [Store] without a database: it begins with the rows that ERIOP's
// seed has, under passwords of the cheapest hash, and forgets all at the end.
type Memory struct {
	mu        sync.RWMutex
	users     map[id]*member
	byEmail   map[string]*member
	cases     []*incident // in the order in which they came
	byCase    map[id]*incident
	warnings  []*alert // in the order in which they came
	byWarning map[id]*alert
	pending   map[string][]*alert // by severity, in the order in which they came
	units     []unit
	numbered  map[string]int // incidents of a day
	logins    int            // audit rows: of those that succeeded
}

type member struct {
	account
	failures int
}

// DocumentedPassword is that of all accounts that ERIOP's load test knows.
const DocumentedPassword = "TestPass123456!"

// NewMemory makes a store with the documented rows: 350 accounts, 100
// resources, 50 incidents and 100 alerts.
func NewMemory() *Memory {
	m := &Memory{
		users: map[id]*member{}, byEmail: map[string]*member{}, byCase: map[id]*incident{},
		byWarning: map[id]*alert{}, pending: map[string][]*alert{}, numbered: map[string]int{},
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(DocumentedPassword), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	agency, now := newID(), time.Now().UTC().Truncate(time.Microsecond)
	for _, group := range []struct {
		count                  int
		prefix, name, role, id string
	}{
		{100, "dispatcher", "Dispatcher", "dispatcher", ""},
		{200, "responder", "Responder", "responder", "R%04d"},
		{50, "alertsystem", "Alert System", "public_user", ""},
	} {
		for i := 1; i <= group.count; i++ {
			one := &member{account: account{
				ID: newID(), Email: fmt.Sprintf("%s%d@test.eriop.local", group.prefix, i),
				FullName: fmt.Sprintf("%s %d", group.name, i), Role: group.role, AgencyID: &agency,
				Verified: true, active: true, hash: string(hash),
			}}
			if group.id != "" {
				one.BadgeNumber = new(fmt.Sprintf(group.id, i))
			}
			m.users[one.ID], m.byEmail[one.Email] = one, one
		}
	}
	const latitude, longitude = 45.5017, -73.5673
	for _, group := range []struct {
		count, available       int
		kind, name, sign, idle string
		placed                 bool
	}{
		{40, 30, "personnel", "Officer", "P-%03d", "off_duty", true},
		{40, 30, "vehicle", "Vehicle", "V-%03d", "out_of_service", true},
		{20, 15, "equipment", "Equipment", "E-%03d", "out_of_service", false},
	} {
		for i := 1; i <= group.count; i++ {
			one := unit{
				ID: newID(), Kind: group.kind, Name: fmt.Sprintf("%s %d", group.name, i),
				CallSign: new(fmt.Sprintf(group.sign, i)), Status: "available", AgencyID: agency, LastStatusUpdate: now,
			}
			if i > group.available {
				one.Status = group.idle
			}
			if group.placed {
				one.Latitude, one.Longitude = new(latitude+0.005*float64(i)), new(longitude+0.005*float64(i))
			}
			m.units = append(m.units, one)
		}
	}
	slices.SortStableFunc(m.units, func(a, b unit) int { return compareText(a.Name, b.Name) })
	for i := 1; i <= 50; i++ {
		category := takenCategories[i%5]
		m.keep(&incident{
			ID: newID(), Number: fmt.Sprintf("INC-LOAD-%04d", i), Category: category, Type: category,
			Priority: i%5 + 1, Status: activeStatuses[i%4], Title: fmt.Sprintf("Load Test Incident %d", i),
			Location:   incidentLocation{latitude + 0.01*float64(i), longitude + 0.01*float64(i), new(fmt.Sprintf("%d Test Street", 1000+i)), nil},
			ReportedAt: now, CreatedAt: now, UpdatedAt: now, AssignedUnits: noCrew,
		})
	}
	kinds := []string{"gunshot", "explosion", "glass_break", "aggression", "scream", "car_alarm"}
	for i := 1; i <= 100; i++ {
		one := &alert{
			ID: newID(), Source: alertSources[i%3], SourceID: new(fmt.Sprintf("device_%d", 1000+i)),
			Severity: alertSeverities[i%4], Status: "pending", Type: kinds[i%6], Title: fmt.Sprintf("Load Test Alert %d", i),
			RawPayload: []byte(`{"test":true,"baseline":true}`), CreatedAt: now, OccurrenceCount: 1,
		}
		if i > 50 {
			one.Status = "acknowledged"
		}
		m.store(one)
	}
	return m
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Name implements [Store].
func (m *Memory) Name() string { return "memory" }

// Close implements [Store].
func (m *Memory) Close() error { return nil }

func (m *Memory) accountByEmail(_ context.Context, email string) (account, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	one, ok := m.byEmail[email]
	if !ok {
		return account{}, errAbsent
	}
	return one.account, nil
}

func (m *Memory) account(_ context.Context, who id) (account, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	one, ok := m.users[who]
	if !ok {
		return account{}, errAbsent
	}
	return one.account, nil
}

func (m *Memory) recordLogin(_ context.Context, l login) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.users[l.who]
	if l.good {
		one.failures, one.lockedUntil = 0, time.Time{}
		m.logins++
		return nil
	}
	one.failures++
	if one.failures >= mostFailures {
		one.lockedUntil = l.at.Add(lockedFor)
	}
	return nil
}

// keep and store add a row; the caller holds the lock.
func (m *Memory) keep(in *incident) {
	m.cases = append(m.cases, in)
	m.byCase[in.ID] = in
}

func (m *Memory) store(a *alert) {
	m.warnings = append(m.warnings, a)
	m.byWarning[a.ID] = a
	if a.Status == "pending" {
		m.pending[a.Severity] = append(m.pending[a.Severity], a)
	}
}

func (m *Memory) incidents(_ context.Context, q incidentQuery) ([]incident, int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := []incident{}
	if q.urgent {
		var ranks [6][]*incident // by priority, no more of each than are asked for
		for _, in := range slices.Backward(m.cases) {
			if slices.Contains(activeStatuses, in.Status) && (q.limit == 0 || len(ranks[in.Priority]) < q.limit) {
				ranks[in.Priority] = append(ranks[in.Priority], in)
				if q.limit > 0 && len(ranks[1]) == q.limit {
					break
				}
			}
		}
		for _, rank := range ranks {
			for _, in := range rank {
				found = append(found, *in)
			}
		}
		return cut(found, q.slice), 0, nil
	}
	total := 0
	for _, in := range slices.Backward(m.cases) {
		if q.status != "" && q.status != in.Status || q.category != "" && q.category != in.Category ||
			q.priority != "" && q.priority != strconv.Itoa(in.Priority) ||
			q.building != "" && (in.building == nil || q.building != in.building.String()) {
			continue
		}
		if total >= q.offset && len(found) < q.limit {
			found = append(found, *in)
		}
		total++
	}
	return found, total, nil
}

// cut returns a part of a list; it is never nil, which would be null in JSON.
func cut[T any](list []T, s slice) []T {
	list = list[min(s.offset, len(list)):]
	if s.limit > 0 {
		list = list[:min(s.limit, len(list))]
	}
	return list
}

func (m *Memory) incident(_ context.Context, which id) (incident, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	in, ok := m.byCase[which]
	if !ok {
		return incident{}, errAbsent
	}
	return *in, nil
}

func (m *Memory) create(_ context.Context, in *incident, _ id, source *id) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if source != nil {
		a, ok := m.byWarning[*source]
		if !ok {
			return errOrphan
		}
		if a.LinkedIncidentID == nil {
			a.LinkedIncidentID = &in.ID
		}
	}
	day := numberPrefix(in.CreatedAt)
	m.numbered[day]++
	in.Number = numberOf(day, m.numbered[day])
	kept := *in
	m.keep(&kept)
	return nil
}

// An incident's number has the day and its number on that day.
func numberPrefix(at time.Time) string { return at.UTC().Format("INC-20060102-") }

func numberOf(prefix string, n int) string { return fmt.Sprintf("%s%04d", prefix, n) }

func (m *Memory) alerts(_ context.Context, q alertQuery) ([]alert, int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := []alert{}
	if q.urgent {
		for _, severity := range alertSeverities {
			for _, a := range slices.Backward(m.pending[severity]) {
				if q.limit > 0 && len(found) == q.limit {
					return found, 0, nil
				}
				found = append(found, *a)
			}
		}
		return found, 0, nil
	}
	if q.status == "" && q.severity == "" && q.kind == "" { // no need to look at all of them
		for i := len(m.warnings) - 1 - q.offset; i >= 0 && len(found) < q.limit; i-- {
			found = append(found, *m.warnings[i])
		}
		return found, len(m.warnings), nil
	}
	total := 0
	for _, a := range slices.Backward(m.warnings) {
		if q.status != "" && q.status != a.Status || q.severity != "" && q.severity != a.Severity || q.kind != "" && q.kind != a.Type {
			continue
		}
		if total >= q.offset && len(found) < q.limit {
			found = append(found, *a)
		}
		total++
	}
	return found, total, nil
}

func (m *Memory) alert(_ context.Context, which id) (alert, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	a, ok := m.byWarning[which]
	if !ok {
		return alert{}, errAbsent
	}
	return *a, nil
}

func (m *Memory) acknowledge(_ context.Context, which, by id, notes *string, at time.Time) (alert, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.byWarning[which]
	switch {
	case !ok:
		return alert{}, errAbsent
	case m.users[by] == nil:
		return alert{}, errOrphan
	case a.Status != "pending":
		return *a, nil
	}
	a.Status, a.AcknowledgedAt, a.AcknowledgedBy, a.notes = "acknowledged", &at, &by, notes
	// Who acknowledges takes one from the head of the list, which is the end here.
	list := m.pending[a.Severity]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == a {
			m.pending[a.Severity] = slices.Delete(list, i, i+1)
			break
		}
	}
	return *a, nil
}

func (m *Memory) ingest(_ context.Context, a *alert) error {
	kept := *a
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store(&kept)
	return nil
}

func (m *Memory) resources(_ context.Context, q resourceQuery) ([]unit, int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := []unit{}
	for _, u := range m.units {
		if q.kind != "" && q.kind != u.Kind || q.status != "" && q.status != u.Status || q.agency != "" && q.agency != u.AgencyID.String() {
			continue
		}
		found = append(found, u)
	}
	return cut(found, q.slice), len(found), nil
}

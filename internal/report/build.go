package report

import (
	"math"
	"strings"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// Build makes the document of a run. It reads nothing but r, and leaves it as
// it is. Every string in the result is masked by the spec's secrets and rid of
// control characters.
func Build(r Run) *Document {
	d := &Document{
		Version:   Version,
		Name:      r.Spec.Name,
		About:     r.Spec.About,
		Overall:   OverallOf(r.Judgement.Overall, r.ExitCode, r.Complete),
		ExitCode:  r.ExitCode,
		ExitName:  ExitName(r.ExitName),
		Complete:  r.Complete,
		Reasons:   list(r.Reasons),
		Method:    r.Judgement.Method,
		Spec:      source(r.Spec),
		Commit:    r.Commit,
		Target:    r.Spec.Target.URL,
		Insecure:  list(insecure(r.Spec)),
		Overrides: list(r.Overrides),
		Dropped:   list(r.Spec.Dropped),
		Started:   StampOf(r.Started),
		Elapsed:   r.Elapsed.Seconds(),
		Held:      held(r.Spans),
		Generator: r.Generator,
		Stages:    stages(r.Spans, r.Broke),
		SLOs:      slos(r.Judgement.Results),
		Unreached: list(r.Unreached),
		Users:     population(r.personas(), r.Users),
		Probes:    probes(r.Probes),
		Health:    health(r.Health),
	}
	s := r.Snapshot
	if s == nil || s.Layout == nil { // the run ended before its first request
		s = measure.NewRecorder(measure.NewLayout(nil, nil, nil)).Snapshot()
	}
	d.record(s)
	if r.Data != nil {
		data := *r.Data
		data.Tables = append([]SeededTable{}, r.Data.Tables...)
		d.Data = &data
	}
	d.Fingerprint, d.Record = r.Fingerprint, record(s, r.Invalid)
	d.Record.judged(Judging{r.Judgement, r.Claims, r.Evidence, r.Options})
	d.Fingerprint.Load = list(r.Fingerprint.Load)
	if r.Baseline != "" {
		d.Baseline = &Baseline{Result: r.Baseline, Moves: []Move{}}
	}
	conceal := NewMask(r.Spec.Secrets)
	editStrings(d, false, conceal.text)
	return d
}

// OverallOf is the verdict of a judgement, unless the exit code says that the run
// as a whole proves less: nothing passes unless everything went well, and an
// invalid run breaks no promise.
func OverallOf(judged slo.Overall, exitCode int, complete bool) slo.Overall {
	const inconclusive = 4
	switch {
	case judged == slo.OverallPass && (exitCode != 0 || !complete):
		return slo.OverallInconclusive
	case judged == slo.OverallFail && exitCode == inconclusive:
		return slo.OverallInconclusive
	default:
		return judged
	}
}

// StampOf writes a time as a document does; the zero time is "".
func StampOf(t time.Time) Stamp {
	if t.IsZero() {
		return ""
	}
	return Stamp(t.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// list copies strings; no strings are [] in JSON and not null.
func list(s []string) []string { return append([]string{}, s...) }

// phase is the part of the run that a span belongs to.
func (s *Span) phase() measure.Phase {
	return measure.Phase{Stage: s.Stage, Shape: s.Shape, Moving: s.Moving}
}

// held is how long levels that are judged were held.
func held(spans []Span) (seconds float64) {
	for i := range spans {
		if spans[i].phase().Judged() {
			seconds += spans[i].End - spans[i].Start
		}
	}
	return seconds
}

// stages groups spans by their stage, in order.
func stages(spans []Span, broke map[string]float64) []Stage {
	out := []Stage{}
	for _, span := range spans {
		if n := len(out); n == 0 || out[n-1].Name != span.Stage {
			out = append(out, Stage{Name: span.Stage, Shape: span.Shape, Open: span.Open, Level: span.Level, Broke: none, Spans: []Span{}})
		}
		stage := &out[len(out)-1]
		stage.Spans = append(stage.Spans, span)
		if level, ok := broke[span.Stage]; ok {
			stage.Broke = number(level)
		}
		if !span.Moving {
			stage.Level = span.Level
			stage.Held += span.End - span.Start
		}
	}
	return out
}

func slos(results []slo.Result) []SLO {
	units := map[slo.Unit]Unit{
		slo.Seconds: "seconds", slo.Ratio: "ratio", slo.PerSecond: "per_second", slo.Count: "count", slo.Bytes: "bytes",
	}
	out := make([]SLO, len(results))
	for i, r := range results {
		o := r.Claim.Objective
		out[i] = SLO{
			Claim: o.Text, Metric: o.Metric.String(), Selector: o.Selector.String(),
			Stage: r.Claim.Stage, Guard: r.Claim.Guard, Advisory: r.Claim.Advisory,
			Verdict: r.Verdict, Observed: r.ObservedText, Value: none,
			Op: o.Op.String(), Limit: o.LimitText(), LimitValue: o.Limit, Unit: units[o.Unit],
			Requests: r.N, Bad: r.Bad, Lost: r.Lost, Reason: r.Reason,
			Line: r.Claim.Line, Col: r.Claim.Col,
		}
		if o.Text == "" {
			out[i].Claim = o.String()
		}
		if r.Value != nil {
			out[i].Value = number(*r.Value)
		}
		if in := r.Interval; in != nil {
			limit := o.Limit
			if in.Unit != o.Unit { // the share of bad requests of a percentile
				limit = 1 - o.Metric.Q
			}
			out[i].Interval = &Interval{Low: number(in.Low), High: number(in.High), Limit: number(limit), Unit: units[in.Unit]}
		}
	}
	return out
}

func (r *Run) personas() (names []string) {
	for _, p := range r.Spec.Personas {
		names = append(names, p.Name)
	}
	return names
}

// population turns moments, each with a count for every persona in order, into
// columns.
func population(personas []string, users []Users) Population {
	p := Population{At: []float64{}, Personas: make([]Inhabitants, len(personas))}
	for i, name := range personas {
		p.Personas[i] = Inhabitants{Persona: name, Active: make([]int, len(users))}
	}
	for at, moment := range users {
		p.At = append(p.At, moment.At)
		for i, n := range moment.Active[:min(len(moment.Active), len(p.Personas))] {
			p.Personas[i].Active[at] = n
		}
	}
	return p
}

// health turns seconds into columns.
func health(seconds []measure.Health) Health {
	h := Health{At: []float64{}, CPU: []Number{}, LagP99: []Number{}, GCPause: []Number{}, Throttled: []Number{}, Steal: []Number{}}
	for _, s := range seconds {
		lag := none
		if s.Sent > 0 {
			lag = number(s.LagP99)
		}
		h.At = append(h.At, time.Duration(s.At).Seconds())
		h.CPU, h.LagP99, h.GCPause = append(h.CPU, number(s.CPU)), append(h.LagP99, lag), append(h.GCPause, number(s.GCPause))
		h.Throttled, h.Steal = append(h.Throttled, number(s.Throttled)), append(h.Steal, number(s.Steal))
	}
	return h
}

// rowKey is what makes a row one row.
type rowKey struct {
	name, method string
	setup        bool
}

// record fills in all that comes from the snapshot.
func (d *Document) record(s *measure.Snapshot) {
	d.Lag = Lag{Latency: latency(&s.Lag), Histogram: histogram(&s.Lag)}

	issued := map[rowKey]uint64{}
	var a Accounting
	var work uint64 // issued by all rows but set-up
	for i := range s.Series {
		c, step := &s.Series[i], s.Layout.Steps[i%len(s.Layout.Steps)]
		issued[rowKey{step.Name, step.Method, step.Setup}] += c.Issued
		if !step.Setup {
			work += c.Issued
		}
		a.Issued += c.Issued
	}
	all := s.Select(func(measure.Phase, measure.Step) bool { return true })
	a.Planned, a.NotIssued, a.Skipped = all.Planned, all.NotIssued, all.Skipped
	a.OK, a.Failed, a.Aborted, a.Lost = all.OK, all.Failures, all.Aborted, all.Lost
	a.Clamped, a.Balanced, a.Faults = s.Clamped, true, []string{}
	if err := s.Check(); err != nil {
		a.Balanced, a.Faults = false, strings.Split(err.Error(), "\n")
	}
	d.Accounting = a

	judged := s.JudgedRows()
	d.Rows = []Row{}
	for i, row := range s.Rows() {
		d.Rows = append(d.Rows, d.row(&row, &judged[i], issued[rowKey{row.Name, row.Method, row.Setup}]))
	}
	total := s.Select(func(_ measure.Phase, step measure.Step) bool { return !step.Setup })
	held := s.Select(func(p measure.Phase, step measure.Step) bool { return !step.Setup && p.Judged() })
	d.Total = d.row(&total, &held, work)

	d.Failures = []Failure{}
	for _, f := range s.Failures {
		d.Failures = append(d.Failures, Failure{
			Row: f.Row, Method: f.Method, Setup: f.Setup, Class: Class(f.Outcome.String()),
			Status: f.Status, Message: f.Text(), Overflow: f.Overflow, Count: f.Count,
		})
	}
	d.Timeline = timeline(s)
}

func (d *Document) row(all, judged *measure.Row, issued uint64) Row {
	r := Row{
		Name: all.Name, Method: all.Method, Setup: all.Setup,
		Planned: all.Planned, Issued: issued, NotIssued: all.NotIssued, Skipped: all.Skipped,
		Requests: all.Requests, OK: all.OK, Failures: all.Failures, Classes: map[Class]uint64{},
		Aborted: all.Aborted, Lost: all.Lost,
		PerSecond: perSecond(all.Requests, d.Elapsed), BytesIn: all.BytesIn, BytesOut: all.BytesOut,
		Response: latency(&all.Response), Success: latency(&all.Success), Service: latency(&all.Service),
		Judged: Judged{
			Requests: judged.Requests, Failures: judged.Failures,
			PerSecond: perSecond(judged.Requests, d.Held), Response: latency(&judged.Response),
		},
		Histograms: Histograms{
			Success: histogram(&all.Success), Service: histogram(&all.Service),
			Connect: histogram(&all.Connect), Failed: histogram(&all.Failed),
		},
	}
	for o := measure.OK + 1; o < measure.NumOutcomes; o++ {
		if n := all.Outcomes[o]; n > 0 && o != measure.Aborted {
			r.Classes[Class(o.String())] = n
		}
	}
	r.Apart = apart(r.Response.P50, r.Service.P50) || apart(r.Response.P95, r.Service.P95) || apart(r.Response.P99, r.Service.P99)
	return r
}

// perSecond is a mean rate; there is none over no time.
func perSecond(n uint64, seconds float64) Number {
	if seconds <= 0 {
		return none
	}
	return number(float64(n) / seconds)
}

// wake is the least difference between the clocks that is shown: below it is
// what an idle machine takes to turn a due time into a sent request.
const wake = 0.001

// apart tells whether two clocks differ by more than 5 % and 1 ms, or only one
// of them has a finite value.
func apart(response, service Number) bool {
	if !response.Known() || !service.Known() {
		return response.Known() != service.Known()
	}
	return math.Abs(float64(response-service)) > max(0.05*float64(response), wake)
}

// timeline turns the seconds of all rows into columns, the sum of all first.
func timeline(s *measure.Snapshot) []Series {
	order := []rowKey{{}}
	for _, row := range s.Rows() {
		order = append(order, rowKey{row.Name, row.Method, row.Setup})
	}
	columns := map[rowKey]*Series{}
	for _, p := range s.Timeline() {
		key := rowKey{p.Row, p.Method, p.Setup}
		c := columns[key]
		if c == nil {
			c = &Series{Row: p.Row, Method: p.Method, Setup: p.Setup}
			columns[key] = c
		}
		c.Second = append(c.Second, p.Second)
		c.Requests = append(c.Requests, p.Requests)
		c.Failures = append(c.Failures, p.Failures)
		c.NotIssued = append(c.NotIssued, p.NotIssued)
		c.P50 = append(c.P50, number(p.P50))
		c.P95 = append(c.P95, number(p.P95))
		c.P99 = append(c.P99, number(p.P99))
	}
	out := []Series{}
	for _, key := range order {
		if c := columns[key]; c != nil {
			out = append(out, *c)
		}
	}
	return out
}

// insecure lists the targets whose certificate nobody verifies, by their URLs.
func insecure(s *spec.Spec) (urls []string) {
	for on := range 1 + len(s.Others) {
		if t := s.TargetOf(on); t.Scheme == "https" && t.TLS.Insecure {
			urls = append(urls, t.URL)
		}
	}
	return urls
}

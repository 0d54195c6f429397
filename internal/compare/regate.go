package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"tollgate/internal/measure"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// Case is a stored run as other promises see it: claims, and the evidence for
// each.
type Case struct {
	Claims   []slo.Claim
	Evidence []slo.Evidence

	basis []basis // what each evidence rests on
}

// basis says where evidence comes from: nowhere, with the reason; from an exact
// counter; or from the log.
type basis struct {
	missing string
	exact   bool
	clipped bool // the log leaves out seconds that the scope begins or ends in
}

// Regate collects what a stored run tells about claims that it was not run
// with.
//
// Where the run counted exactly what a claim asks for (the same samples at the
// very same limit, which p99 < 200ms and within(200ms) share with p95 < 200ms),
// that counter is the evidence. Elsewhere it is read off the log of seconds,
// whose histograms have two digits: the samples of the bucket that straddles
// the limit may lie on either side and count as lost, and so do samples that
// were in flight when the run ended. What the log does not tell (personas and
// tasks that share a row, other clocks than response time, sums) is not made
// up: such a claim is without data. A recovery, which is timed from a moment
// within a second, needs the exact counter; totals of the run are those of its
// rows.
//
// A guard about which the run had nothing to say, because its row was hardly
// expected to be called, is left out again.
func Regate(d *report.Document, claims []slo.Claim) (*Case, error) {
	run, err := open(d)
	if err != nil {
		return nil, err
	}
	steps := make([]measure.Step, len(d.Record.Steps))
	for i, s := range d.Record.Steps {
		steps[i] = s.Step
	}
	layout := measure.NewLayout(steps, d.Record.Phases, claims)
	layout.Timeout = int64(math.Round(d.Record.Timeout * 1e9))
	r := regating{stored: run, layout: layout}
	c := &Case{}
	for i := range claims {
		ev, from := r.evidence(i)
		if claims[i].Guard && r.excused(i, ev) {
			continue
		}
		c.Claims = append(c.Claims, claims[i])
		c.Evidence = append(c.Evidence, ev)
		c.basis = append(c.basis, from)
	}
	return c, nil
}

// AtLooks makes the confidence of claims on holds that ended when they were
// decided that of the look at which they did: of those that the spec declares,
// the nearest to how long the stored stage held.
func (c *Case) AtLooks(d *report.Document, s *spec.Spec, confidence float64) {
	for _, st := range s.Stages {
		at := slices.IndexFunc(d.Stages, func(was report.Stage) bool { return was.Name == st.Name })
		if st.ForMax <= 0 || at < 0 {
			continue
		}
		var best slo.Look
		off := math.Inf(1)
		for _, look := range slo.Looks(st.For, st.ForMax, confidence) {
			if far := math.Abs(look.At.Seconds() - d.Stages[at].Held); far < off {
				best, off = look, far
			}
		}
		for i := range c.Claims {
			if c.Claims[i].Stage == st.Name {
				c.Evidence[i].Confidence = best.Confidence
			}
		}
	}
}

// Judge judges the claims, and has every reason say what it rests on.
func (c *Case) Judge(o slo.Options) slo.Judgement {
	j := slo.Judge(c.Claims, c.Evidence, o)
	for i := range j.Results {
		r := &j.Results[i]
		before := r.Reason
		switch b := c.basis[i]; {
		case b.missing != "":
			r.Reason = fmt.Sprintf("%v: %s: no data", r.Claim.Objective.Metric, b.missing)
		case probed(r.Claim.Objective):
			r.Reason += " (regated, by its readings)"
		case b.exact:
			r.Reason += " (regated, by the exact counter)"
		case b.clipped:
			r.Reason += " (regated from the log, whole seconds alone)"
		default:
			r.Reason += " (regated from the log)"
		}
		retell(j.Reasons, r.Claim, before, r.Reason)
	}
	return j
}

// probed tells whether an objective is about a probe.
func probed(o slo.Objective) bool {
	return o.Metric.Kind == slo.Probe || o.Metric.Kind == slo.Delta || o.Right.Metric.Kind == slo.Delta
}

// retell replaces the reason of one claim in the reasons of the whole.
func retell(reasons []string, c slo.Claim, before, after string) {
	for i, text := range reasons {
		head, ok := strings.CutSuffix(text, before)
		if ok && strings.Contains(head, c.Objective.Text) && strings.Contains(head, c.Stage) {
			reasons[i] = head + after
			return
		}
	}
}

// regating is a stored run under the layout of other claims.
type regating struct {
	*stored
	layout *measure.Layout
}

// evidence returns what the run tells about claim i.
func (r *regating) evidence(i int) (slo.Evidence, basis) {
	claim := &r.layout.Claims[i]
	known := func(p measure.Phase) bool { return p.Stage == claim.Stage }
	if claim.Stage != "" && !slices.ContainsFunc(r.layout.Phases, known) {
		return nothing(fmt.Sprintf("the stored run has no stage %s", claim.Stage))
	}
	switch o := claim.Objective; {
	case o.Metric.Kind == slo.Probe:
		return r.probed(i)
	case o.OverRun():
		return r.totals(claim)
	case o.Metric.Kind == slo.Users:
		return r.snapshot(i, measure.ClaimCount{}).Evidence(i, r.length(i), r.gauge(i)), basis{exact: true}
	}
	if len(r.layout.SeriesOf(i)) == 0 {
		return nothing("the stored run has no such request")
	}
	if c := r.counter(i); c != nil {
		ev := r.snapshot(i, c.Counts()).Evidence(i, r.length(i), nil)
		r.show(i, &ev)
		return ev, basis{exact: true}
	}
	if claim.Objective.After != "" {
		return nothing("the stored run counted no recovery at this limit")
	}
	rows, why := r.rows(i)
	if why == "" {
		why = unlogged(claim.Objective)
	}
	if why != "" {
		return nothing(why)
	}
	counted, seconds, clipped := r.count(i, rows)
	if len(counted.Slots) == 0 && clipped {
		return nothing("its scope holds no whole second of the log")
	}
	ev := r.snapshot(i, counted).Evidence(i, seconds, nil)
	r.show(i, &ev)
	return ev, basis{clipped: clipped}
}

// probed returns the readings of a probe that were asked for in the scope of
// claim i.
func (r *regating) probed(i int) (slo.Evidence, basis) {
	readings, why := r.readings(r.layout.Claims[i].Objective.Metric.Name)
	if why != "" {
		return nothing(why)
	}
	ev, in := slo.Evidence{Seconds: r.length(i)}, r.spansOf(i)
	for k := range r.spans {
		s := &r.spans[k]
		if !in(s) || s.Drain {
			continue
		}
		values, why := readings.Within(nanoseconds(s.Start), nanoseconds(s.End))
		ev.Gauge = append(ev.Gauge, values...)
		ev.Unread = cmp.Or(ev.Unread, why)
	}
	return ev, basis{exact: true}
}

// readings returns those of a probe, or says why there are none.
func (r *regating) readings(probe string) (*measure.Readings, string) {
	for k := range r.Probes {
		if r.Probes[k].Name == probe {
			return r.Probes[k].Readings(), ""
		}
	}
	return nil, fmt.Sprintf("the stored run read no probe %s", probe)
}

func nanoseconds(seconds float64) int64 { return int64(math.Round(seconds * 1e9)) }

// totals returns the evidence for a comparison of totals of the whole run.
func (r *regating) totals(claim *slo.Claim) (slo.Evidence, basis) {
	o := claim.Objective
	left, why := r.total(slo.MetricRef{Metric: o.Metric, Selector: o.Selector})
	if why != "" {
		return nothing(why)
	}
	right, why := r.total(o.Right)
	if why != "" {
		return nothing(why)
	}
	return slo.Evidence{Left: left, Right: right, Seconds: r.Elapsed}, basis{exact: true}
}

// total adds up the rows that a total is about, or says why they cannot tell.
func (r *regating) total(of slo.MetricRef) (t slo.Total, why string) {
	if of.Metric.Kind == slo.Delta {
		readings, why := r.readings(of.Metric.Name)
		if why != "" {
			return t, why
		}
		return readings.Delta(nanoseconds(r.Elapsed)), ""
	}
	setup := spec.IsSetup(of.Selector.Task)
	in, all := make([]int, len(r.Rows)), make([]int, len(r.Rows))
	for _, s := range r.Record.Steps {
		all[s.Row]++
		if s.Setup == setup && slo.Matches(of.Selector, "", s.Persona, s.Task, s.Endpoint, s.Name) {
			in[s.Row]++
		}
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		switch in[i] {
		case 0:
			continue
		case all[i]:
		default:
			return t, shared(of.Selector, row)
		}
		ended := row.Requests - row.Aborted
		t.N += ended
		switch of.Metric.Kind {
		case slo.Successes:
			t.Value += float64(row.OK)
			t.Lost += row.Lost + row.Aborted
		case slo.Requests:
			t.Value += float64(row.Requests)
			t.N += row.Aborted
			t.Lost += row.Lost
		case slo.Dropped:
			t.Value += float64(row.NotIssued)
			t.N += row.NotIssued
		case slo.BytesIn:
			t.Value += float64(row.BytesIn)
			t.Lost += row.Lost + row.Aborted
		case slo.BytesOut:
			t.Value += float64(row.BytesOut)
			t.Lost += row.Lost + row.Aborted
		}
	}
	return t, ""
}

// nothing is the evidence that there is none.
func nothing(why string) (slo.Evidence, basis) {
	return slo.Evidence{Observed: math.NaN()}, basis{missing: why}
}

// snapshot wraps the counts of claim i as a recorder would have left them.
func (r *regating) snapshot(i int, counted measure.ClaimCount) *measure.Snapshot {
	s := &measure.Snapshot{
		Layout: r.layout,
		Series: make([]measure.Counts, len(r.layout.Phases)*len(r.layout.Steps)),
		Claims: make([]measure.ClaimCount, len(r.layout.Claims)),
	}
	s.Claims[i] = counted
	return s
}

// spansOf returns which spans claim i is judged on.
func (r *regating) spansOf(i int) func(*report.Span) bool {
	return r.spansIn(r.layout.Scope(i))
}

// spansIn returns which spans belong to some phases. The drain belongs to the
// last moving part, unless it is a phase of its own.
func (r *regating) spansIn(phases []int) func(*report.Span) bool {
	drain := slices.IndexFunc(r.layout.Phases, func(p measure.Phase) bool { return p.Shape == "drain" })
	return func(s *report.Span) bool {
		return slices.ContainsFunc(phases, func(p int) bool {
			if s.Drain && drain >= 0 {
				return p == drain
			}
			phase := r.layout.Phases[p]
			return p != drain && phase.Stage == s.Stage && phase.Moving == s.Moving && phase.Back == s.Back
		})
	}
}

// length returns the seconds that claim i is judged on.
func (r *regating) length(i int) (seconds float64) {
	in := r.spansOf(i)
	for k := range r.spans {
		if s := &r.spans[k]; in(s) && !s.Drain {
			seconds += s.End - s.Start
		}
	}
	return seconds
}

// gauge returns the active users of a users claim, reading by reading.
func (r *regating) gauge(i int) (out []float64) {
	in, who := r.spansOf(i), r.layout.Claims[i].Objective.Selector.Persona
	for k := range r.spans {
		s := &r.spans[k]
		if !in(s) || s.Drain {
			continue
		}
		last := s.Start
		for at, moment := range r.Users.At {
			if moment < s.Start || moment >= s.End {
				continue
			}
			if moment-last > gaugeGap {
				out = append(out, math.NaN()) // a second in which nobody looked
			}
			last = moment
			n := 0
			for _, p := range r.Users.Personas {
				if who == "" || who == p.Persona {
					n += p.Active[at]
				}
			}
			out = append(out, float64(n))
		}
		if s.End-last > gaugeGap {
			out = append(out, math.NaN())
		}
	}
	return out
}

// gaugeGap is from how many seconds of silence users are unknown: twice the
// interval of the readings.
const gaugeGap = 2

// tallied is what a counter counts, whatever it was asked for: two objectives
// with the same have the same counter.
type tallied struct {
	kind   slo.MetricKind
	clock  slo.Clock
	onlyOK bool
	class  string
	slow   int64
}

// talliedBy returns what the counter of an objective counts. aborted tells
// whether samples were in flight at the end: of these the limit decides what
// they count as in a mean or a maximum.
func talliedBy(o slo.Objective, aborted bool) tallied {
	m := o.Metric
	switch m.Kind {
	case slo.Quantile, slo.Within:
		return tallied{kind: slo.Quantile, clock: m.Clock, onlyOK: m.OnlyOK, slow: o.SlowNanos()}
	case slo.Max, slo.Mean:
		t := tallied{kind: m.Kind, clock: m.Clock, onlyOK: m.OnlyOK}
		if aborted {
			t.slow = o.SlowNanos()
		}
		return t
	case slo.Throughput, slo.Successes:
		return tallied{kind: slo.Errors}
	}
	return tallied{kind: m.Kind, class: m.Class}
}

// counter returns the stored counter that counted what claim i asks for.
func (r *regating) counter(i int) *report.Counter {
	claim, series := &r.layout.Claims[i], r.layout.SeriesOf(i)
	aborted := false
	for _, s := range series {
		row := r.Record.Steps[s%len(r.layout.Steps)].Row
		aborted = aborted || r.Rows[row].Aborted > 0
	}
	for k := range r.Record.Counters {
		c := &r.Record.Counters[k]
		if !slices.Equal(c.Series, series) || (c.Stage == "") != (claim.Stage == "") {
			continue
		}
		o, err := slo.Parse(c.SLO)
		if err == nil && o.After == claim.Objective.After && !o.OverRun() && talliedBy(o, aborted) == talliedBy(claim.Objective, aborted) {
			return c
		}
	}
	return nil
}

// rows returns, by row, the phases in which it is in the scope of claim i, or
// why the rows cannot tell.
func (r *regating) rows(i int) ([][]int, string) {
	claim, series := &r.layout.Claims[i], r.layout.SeriesOf(i)
	inScope := make([]bool, len(r.layout.Phases)*len(r.layout.Steps))
	for _, s := range series {
		inScope[s] = true
	}
	out := make([][]int, len(r.Rows))
	for p := range r.layout.Phases {
		in, of := make([]int, len(r.Rows)), make([]int, len(r.Rows))
		for n, step := range r.Record.Steps {
			of[step.Row]++
			if inScope[p*len(r.layout.Steps)+n] {
				in[step.Row]++
			}
		}
		for row, n := range in {
			switch n {
			case 0:
				continue
			case of[row]:
				out[row] = append(out[row], p)
			default:
				return nil, shared(claim.Objective.Selector, &r.Rows[row])
			}
		}
	}
	return out, ""
}

// shared says that a selector picks a part out of a row.
func shared(s slo.Selector, row *report.Row) string {
	who := "endpoint " + s.Endpoint
	switch {
	case s.Persona != "":
		who = "persona " + s.Persona
	case s.Task != "":
		who = "task " + s.Task
	}
	return fmt.Sprintf("%s shares its row %q with others, and a stored run tells rows apart and nothing finer", who, row.Name)
}

// unlogged says why the log cannot tell what an objective asks for, or "".
func unlogged(o slo.Objective) string {
	switch m := o.Metric; {
	case m.Clock != slo.Response:
		return fmt.Sprintf("the log of a stored run has response times, and no %s times", m.Clock)
	case m.Kind == slo.Mean, m.Kind == slo.BytesIn, m.Kind == slo.BytesOut:
		return "the log of a stored run keeps no sums, and the run counted none for it"
	case m.Class == measure.Aborted.String():
		return "the log of a stored run does not tell what was aborted"
	}
	return ""
}

// count counts claim i by the log, in whole seconds of its scope, and says how
// many there are, and whether some were left out.
func (r *regating) count(i int, rows [][]int) (out measure.ClaimCount, seconds float64, clipped bool) {
	within := r.within(rows)
	first, covered := int64(math.MaxInt64), make([]bool, second(math.Ceil(r.Elapsed)))
	for row, in := range within {
		if len(rows[row]) > 0 {
			out.Lost += r.Rows[row].Lost
		}
		for _, at := range r.seconds(in) {
			first = min(first, at)
			if !covered[at] {
				covered[at] = true
				seconds++
			}
		}
	}
	if seconds == 0 {
		return out, 0, true
	}
	length := r.length(i)
	clipped = length > seconds
	seconds = min(seconds, length)
	r.each(within, func(m *measure.Moment) {
		for int64(len(out.Slots)) <= m.Second-first {
			out.Slots = append(out.Slots, measure.SlotCount{})
		}
		r.add(&out.Slots[m.Second-first], &out.Lost, m, r.layout.Claims[i].Objective)
	})
	return out, seconds, clipped
}

// within returns, by row, the whole seconds of its phases.
func (r *regating) within(rows [][]int) [][]stretch {
	out := make([][]stretch, len(rows))
	for row, phases := range rows {
		if len(phases) > 0 {
			out[row] = r.whole(r.spansIn(phases))
		}
	}
	return out
}

// each visits the moments within stretches of their rows.
func (r *regating) each(within [][]stretch, visit func(*measure.Moment)) {
	for row, in := range within {
		if len(in) == 0 {
			continue
		}
		for k := range r.moments[row] {
			if m := &r.moments[row][k]; holds(in, m.Second) {
				visit(m)
			}
		}
	}
}

// add counts one second of one row as the recorder would have, and what cannot
// be told as lost.
func (r *regating) add(slot *measure.SlotCount, lost *uint64, m *measure.Moment, o slo.Objective) {
	ok := m.Response.Count
	aborted := m.Requests - m.Failures - ok
	switch o.Metric.Kind {
	case slo.Quantile, slo.Within, slo.Max:
		beyond, unknown := m.Response.Beyond(o.SlowNanos())
		slot.N += ok - unknown
		slot.Bad += beyond
		*lost += unknown + aborted
		slow := uint64(0) // slower than every limit
		if !o.Metric.OnlyOK {
			slow = m.Failures + m.NotIssued
		}
		slot.N += slow
		slot.Bad += slow
		if o.Metric.Kind == slo.Max {
			slot.Max = max(slot.Max, highest(m, o.SlowNanos(), slow > 0))
		}
	case slo.Errors:
		if o.Metric.Class == "" {
			slot.N += ok + m.Failures
			slot.Bad += m.Failures
			*lost += aborted
			return
		}
		// The log does not tell classes apart, but the whole run may: all
		// failures of the row were of the class, or none was.
		slot.N += ok
		*lost += aborted
		row := &r.Rows[m.Row]
		switch row.Classes[report.Class(o.Metric.Class)] {
		case 0:
			slot.N += m.Failures
		case row.Failures:
			slot.N += m.Failures
			slot.Bad += m.Failures
		default:
			*lost += m.Failures
		}
	case slo.Throughput, slo.Successes:
		slot.N += ok + m.Failures
		slot.Bad += m.Failures
		*lost += aborted
	case slo.Requests:
		slot.N += m.Requests
	case slo.Dropped:
		slot.N += m.Requests + m.NotIssued
		slot.Bad += m.NotIssued
	}
}

// highest returns the slowest sample of a second, in ns: the upper edge of its
// bucket, and what lies in the bucket that straddles the limit left out.
func highest(m *measure.Moment, limit int64, failed bool) int64 {
	if failed {
		return math.MaxInt64
	}
	slowest := 0.0
	for b := range m.Response.Buckets() {
		one := measure.Hist{Coarse: true, Packed: measure.Pack(b), Count: b.Count, Max: m.Response.Max}
		if _, unknown := one.Beyond(limit); unknown == 0 {
			slowest = one.Quantile(1)
		}
	}
	return int64(math.Round(slowest * 1e9))
}

// show sets the value of a percentile that is printed. A counter tells on which
// side of the limit it lies; the value itself is that of the same percentile in
// the stored verdict, or else of the log, within its two digits.
func (r *regating) show(i int, ev *slo.Evidence) {
	claim := &r.layout.Claims[i]
	if claim.Objective.Metric.Kind != slo.Quantile {
		return
	}
	h, ok := r.histogram(i)
	ev.Quantile = nil
	if ok {
		ev.Quantile = h.Quantile
		ev.Observed = h.Quantile(claim.Objective.Metric.Q)
	} else {
		ev.Observed = otherSide(ev.Slots, claim.Objective)
	}
	for k := range r.SLOs {
		s := &r.SLOs[k]
		was, err := slo.Parse(s.Claim)
		if err == nil && (was.Plain() || was.OfBaseline) && was.Metric == claim.Objective.Metric && was.Selector == claim.Objective.Selector &&
			was.IncludingRamps == claim.Objective.IncludingRamps && s.Stage == claim.Stage && s.Value.Known() {
			ev.Observed = float64(s.Value)
		}
	}
}

// otherSide is a value on the side of the limit where the percentile is not.
// The judge, who believes the counter, then prints the side alone.
func otherSide(slots []slo.Slot, o slo.Objective) float64 {
	var t slo.Slot
	for _, s := range slots {
		t = t.Add(s)
	}
	switch {
	case t.N == 0 || o.OfBaseline:
		return math.NaN()
	case float64(t.Bad) <= (1-o.Metric.Q)*float64(t.N):
		return math.Inf(1)
	}
	return 0
}

// histogram returns the response times in the scope of claim i by the log;
// false where the log cannot tell.
func (r *regating) histogram(i int) (*measure.Hist, bool) {
	o := r.layout.Claims[i].Objective
	rows, why := r.rows(i)
	if why != "" || unlogged(o) != "" {
		return nil, false
	}
	h := &measure.Hist{}
	r.each(r.within(rows), func(m *measure.Moment) {
		h.Merge(&m.Response)
		if !o.Metric.OnlyOK {
			h.Inf += m.Failures + m.NotIssued
		}
	})
	return h, h.Count+h.Inf > 0
}

// excused tells whether a guard saw nothing in this run, and the run's own
// verdict had nothing to say about it either.
func (r *regating) excused(i int, ev slo.Evidence) bool {
	if ev.Lost > 0 || slices.ContainsFunc(ev.Slots, func(s slo.Slot) bool { return s.N > 0 }) {
		return false
	}
	claim, series := &r.layout.Claims[i], r.layout.SeriesOf(i)
	for k := range r.Record.Counters {
		c := &r.Record.Counters[k]
		if !c.Guard || c.Stage != claim.Stage || !slices.Equal(c.Series, series) {
			continue
		}
		was, err := slo.Parse(c.SLO)
		return err == nil && !slices.ContainsFunc(r.SLOs, func(s report.SLO) bool {
			return s.Guard && s.Selector == was.Selector.String() && s.Metric == was.Metric.String() && s.Stage == c.Stage
		})
	}
	return false
}

// AgainstBaseline fills in what a stored run says about every claim that is a
// share of a baseline: the value of the claim's own metric in it. Where the run
// has no data for one, the baseline is there and its value is not a number.
func AgainstBaseline(d *report.Document, claims []slo.Claim, evidence []slo.Evidence) error {
	c, err := Regate(d, claims)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("run %s of %s", d.Generator.RunID, d.Started)
	next := 0 // of c, which leaves some guards out
	for i := range claims {
		if next == len(c.Claims) || c.Claims[next] != claims[i] {
			continue
		}
		if claims[i].Objective.OfBaseline {
			evidence[i].Baseline = slo.Baseline{Of: name, Value: c.Evidence[next].Observed}
			if c.basis[next].missing != "" {
				evidence[i].Baseline.Value = math.NaN()
			}
		}
		next++
	}
	return nil
}

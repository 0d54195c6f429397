package exec

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// RunOptions say how to run a plan.
type RunOptions struct {
	// Addresses are where connections go (see Preflight).
	Addresses *Addresses
	// Loops is the number of event loops, each with a thread of its own; 0: one per core.
	Loops int
	// RunID names the run in ${run.id} and in what uuid() draws; "" makes one.
	RunID string
	// Progress is called once a second from the goroutine that called Run; nil: never.
	Progress func(Progress)
	// Readings returns what the spec's probes have answered since the run
	// started at the given moment; nil: nobody reads them. Holds that end when
	// everything is decided ask for it.
	Readings func(started time.Time) []measure.Readings
	// Seconds gets once a second what has been measured so far; nil: nobody. A
	// run never waits for it: a second that finds it full is left out, and the
	// next one tells of both.
	Seconds chan<- Second

	// Driver is what carries the load: "loop" (epoll, HTTP/1.1 in clear text, on
	// Linux), "conn" (every protocol, every system), or "" for the loop wherever
	// it serves the spec.
	Driver string

	driver newDriver
}

// Progress is what a run looks like at one moment.
type Progress struct {
	Elapsed  time.Duration
	Stage    int // index into the plan's stages
	Name     string
	Shape    spec.Shape
	Moving   bool
	Open     bool
	Level    float64       // users, or arrivals per second, that the stage holds
	Left     time.Duration // of this part by plan; 0 when it waits for set-up
	Active   []int         // by persona: users whose set-up succeeded
	InFlight int
	Second   measure.Live // what completed since the last call
}

// Gauge is how many users were active at one moment.
type Gauge struct {
	At     int64 `json:"at"` // nanoseconds since the start of the run
	Active []int `json:"active"`
}

// Result is everything a run leaves behind.
type Result struct {
	Plan        *Plan
	RunID       string
	Driver      string
	Loops       int
	Started     time.Time
	Elapsed     time.Duration
	Interrupted bool // the context ended the run before its plan did
	// Aborted says which promise is certain to be broken, and when that was
	// seen; "" for a run that was not given up.
	Aborted string
	// Unfit says why the run can no longer be judged, whatever the target did,
	// where it was given up for that; else "".
	Unfit string
	// Looks is, by stage name, the confidence of the look at which a hold of
	// open length ended (see slo.Looks).
	Looks    map[string]float64
	Snapshot *measure.Snapshot
	Spans    []Span
	Gauges   []Gauge
	// Readings are those of the spec's probes. Run makes none: whoever calls it
	// does, beside it, and fills them in before Claims is asked.
	Readings []measure.Readings
	Health   []measure.Health // of the generator itself, second by second
	// Broke is where a steps stage ended by its `until`, by stage name: the level that did not hold.
	Broke map[string]float64
}

const (
	firstLead  = int64(20 * time.Millisecond)  // before the first stage
	partLead   = int64(10 * time.Millisecond)  // between a decision and what it begins
	cueLead    = int64(100 * time.Millisecond) // how far ahead a part of known start is announced
	poll       = 5 * time.Millisecond
	cutShort   = 2 * time.Second        // how long an interrupted run waits for answers
	drainSlack = 100 * time.Millisecond // beyond the timeout, for the loops to see it
)

// Run keeps the plan against the target and returns what was measured. The
// context ends it early: requests in flight get up to two seconds more, and the
// result says Interrupted. The error is ours, or this machine's: never the
// target's.
func Run(ctx context.Context, p *Plan, o RunOptions) (*Result, error) {
	n := o.loopsOf(p)
	named := o.Driver
	if o.driver == nil {
		var err error
		if o.driver, named, err = drive(p.Spec, o.Driver); err != nil {
			return nil, err
		}
	}
	if o.RunID == "" {
		o.RunID = NewRunID()
	}
	// A loop keeps its processor while it waits: the collector and the
	// conductor need one of their own.
	if old := runtime.GOMAXPROCS(0); old < n+1 {
		runtime.GOMAXPROCS(n + 1)
		defer runtime.GOMAXPROCS(old)
	}
	// Nearly all that is alive is small and stays: a collector that comes four
	// times as often costs little, and what large answers leave is soon gone.
	defer debug.SetGCPercent(debug.SetGCPercent(25))

	c := &conductor{plan: p, zero: time.Now(), shared: newShared(p), planned: p.length(), progress: o.Progress, seconds: o.Seconds, readings: o.Readings, pulse: newPulse(), broke: map[string]float64{}, looks: map[string]float64{}}
	for i := range n {
		cast := newCast(p, &c.line, i, n, o.RunID, c.zero.UnixNano())
		cast.shared = c.shared
		d, err := o.driver(cast, o.Addresses, c.zero)
		if err != nil {
			for _, d := range c.drivers {
				d.discard()
			}
			return nil, fmt.Errorf("event loop: %w", err)
		}
		c.casts = append(c.casts, cast)
		c.drivers = append(c.drivers, d)
	}
	var stop atomic.Bool
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var crash atomic.Pointer[error]
	for _, d := range c.drivers {
		running.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					err := fmt.Errorf("event loop: %v\n%s", r, debug.Stack())
					crash.CompareAndSwap(nil, &err)
					cancel()
				}
			}()
			d.run(&stop)
		})
	}
	if every := p.Spec.Target.Refresh; every > 0 {
		running.Go(func() { o.Addresses.keep(ctx, every) })
	}
	whole := c.before(ctx) && c.conduct(ctx)
	if !whole && c.part != nil {
		c.end(c.now() + partLead)
	}
	cut := c.drain(ctx)
	stop.Store(true)
	cancel()
	running.Wait()
	end := c.now()
	c.line.finish(end)
	if err := crash.Load(); err != nil {
		return nil, *err
	}

	// Users and connections have gone; what the report is made of should not
	// come on top of them.
	var recorders []*measure.Recorder
	for _, cast := range c.casts {
		recorders = append(recorders, cast.rec)
	}
	c.casts, c.drivers = nil, nil
	debug.FreeOSMemory()
	var parts []*measure.Snapshot
	for _, rec := range recorders {
		parts = append(parts, rec.End())
	}
	snap, err := measure.Merge(parts...)
	if err != nil {
		return nil, err
	}
	if err := snap.Check(); err != nil {
		return nil, err
	}
	return &Result{
		Plan: p, RunID: o.RunID, Driver: named, Loops: n,
		Started: c.zero, Elapsed: time.Duration(end), Interrupted: (!whole || cut) && c.aborted == "", Aborted: c.aborted, Unfit: c.unfit, Looks: c.looks,
		Snapshot: snap, Spans: c.line.load(), Gauges: c.gauges, Health: c.health, Broke: c.broke,
	}, nil
}

// NewRunID returns a name for a run that no other one has.
func NewRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// conductor walks the plan's stages: it tells the loops what begins when, and
// decides when what cannot be known before (set-up finished, a limit found)
// ends a part.
type conductor struct {
	plan     *Plan
	zero     time.Time
	shared   *shared
	line     timeline
	casts    []*cast
	drivers  []driver
	progress func(Progress)
	readings func(time.Time) []measure.Readings
	seconds  chan<- Second
	told     int // of the readings: how many seconds has got
	tick     int64
	gauges   []Gauge
	pulse    *pulse
	health   []measure.Health
	recent   []measure.Live // the last seconds of this part, for until
	fresh    bool           // the next reading began before this part
	ended    uint64         // requests that have ended
	own      uint64         // and those of them that failed on this machine
	planned  time.Duration  // of the whole plan, without the waits for set-up
	broke    map[string]float64
	looks    map[string]float64
	aborted  string
	unfit    string
	began    int64 // when this part began
	stageNo  int
	part     *part
	partEnd  int64
}

func (c *conductor) now() int64 { return int64(time.Since(c.zero)) }

// conduct walks all stages; false when the context ended it.
func (c *conductor) conduct(ctx context.Context) bool {
	at := c.now() + firstLead
	c.tick = at + int64(time.Second)
	begun := 0
	way := course{level: make([]int, len(c.plan.personas))}
	for no := range c.plan.stages {
		st := &c.plan.stages[no]
		c.stageNo = no
		for k := range st.parts {
			pt := way.enter(st, k)
			c.line.begin(pt.span(no, st, at))
			for i, d := range c.drivers {
				d.do(func() { c.casts[i].announce(cue{stageNo: no, partNo: k, part: pt, start: at}) })
			}
			begun++
			c.part, c.partEnd, c.began = &pt, at+int64(pt.over), at
			c.recent, c.fresh = c.recent[:0], true

			broken := false
			switch {
			case pt.settle:
				if !c.wait(ctx, c.partEnd, func() bool { return c.settled(begun) }) {
					return false
				}
			case pt.least > 0:
				end, ok := c.holdUntilDecided(ctx, st, pt, at)
				if !ok {
					return false
				}
				at = end
				continue
			case st.until != nil && !pt.moving:
				early := func() bool { broken = broken || c.reached(st.until, pt.over); return broken }
				if !c.waitOr(ctx, c.partEnd-cueLead, early) {
					return false
				}
			default:
				if !c.wait(ctx, c.partEnd-cueLead, nil) {
					return false
				}
			}
			// Never in the past: what the loops have done since would count in a
			// part that was over.
			soon := c.now() + partLead
			if broken {
				c.broke[st.name] = pt.level
				at = soon
				break
			}
			at = max(c.partEnd, soon)
		}
	}
	c.end(at)
	return c.wait(ctx, at, nil)
}

// end closes the last part: what is due later belongs to the drain, which is
// never judged. Loops learn of a planned end ahead of it, and keep it to the
// microsecond.
func (c *conductor) end(at int64) {
	c.part, c.partEnd = nil, at
	c.line.begin(c.plan.drainSpan(c.stageNo, at))
	for i, d := range c.drivers {
		d.do(func() { c.casts[i].announce(cue{start: at, last: true}) })
	}
}

// settled reports whether every loop has taken up all announced parts, every
// user of the level has come, and its set-up has ended one way or the other.
func (c *conductor) settled(parts int) bool {
	for _, k := range c.casts {
		if k.stats.parts.Load() < int64(parts) || k.stats.settling.Load() > 0 {
			return false
		}
	}
	return true
}

// wait sleeps until the instant, and then until the condition holds; false when
// the context ends first. Once a second it takes a reading.
func (c *conductor) wait(ctx context.Context, at int64, and func() bool) bool {
	for {
		now := c.now()
		if c.read(now); c.aborted != "" {
			return false
		}
		if now >= at && (and == nil || and()) {
			return true
		}
		if !c.sleep(ctx, at-now) {
			return false
		}
	}
}

// waitOr is wait that ends early when the condition holds.
func (c *conductor) waitOr(ctx context.Context, at int64, or func() bool) bool {
	for {
		now := c.now()
		read := c.read(now)
		if c.aborted != "" {
			return false
		}
		if now >= at || read && or() {
			return true
		}
		if !c.sleep(ctx, at-now) {
			return false
		}
	}
}

func (c *conductor) sleep(ctx context.Context, most int64) bool {
	d := time.Duration(min(most, c.tick-c.now()))
	timer := time.NewTimer(max(d, poll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// read collects, once a second, what the loops have recorded and how many users
// are active. It reports whether a second had passed.
func (c *conductor) read(now int64) bool {
	if now < c.tick {
		return false
	}
	c.tick += int64(time.Second)
	if c.tick <= now {
		c.tick = now + int64(time.Second)
	}
	var second measure.Live
	inFlight := 0
	active := make([]int, len(c.plan.personas))
	var copies []*measure.Copy
	telling := c.ready()
	for i, d := range c.drivers {
		var l measure.Live
		d.do(func() {
			l = c.casts[i].rec.Live()
			if telling {
				copies = append(copies, c.casts[i].rec.Copy())
			}
		})
		second.Merge(&l)
		inFlight += int(c.casts[i].stats.inFlight.Load())
		for p := range active {
			active[p] += int(c.casts[i].stats.active[p].Load())
		}
	}
	c.gauges = append(c.gauges, Gauge{At: now, Active: active})
	c.health = append(c.health, c.pulse.take(measure.Health{
		At: now, Sent: second.Lag.Count, LagP99: lagP99(&second.Lag), Judged: c.judged(now),
	}))
	if telling {
		c.tell(now, copies)
	}
	if !c.fresh {
		c.recent = append(c.recent, second)
	}
	c.fresh = false
	c.ended, c.own = c.ended+second.Requests, c.own+second.Own
	c.giveUp(now)
	c.giveUpOnUs(now)
	if c.progress != nil {
		st := &c.plan.stages[c.stageNo]
		p := Progress{
			Elapsed: time.Duration(now), Stage: c.stageNo, Name: st.name, Shape: st.shape,
			Open: st.open, Active: active, InFlight: inFlight, Second: second,
		}
		if c.part != nil {
			p.Moving, p.Level = c.part.moving, c.part.level
			p.Left = time.Duration(max(0, c.partEnd-now))
		}
		c.progress(p)
	}
	return true
}

func lagP99(h *measure.Hist) float64 {
	if h.Count == 0 {
		return 0
	}
	return h.Quantile(0.99)
}

// judged reports whether the second before now lies in a hold that is judged.
func (c *conductor) judged(now int64) bool {
	s := spanAt(c.line.load(), now-int64(time.Second))
	return c.plan.Layout.Phases[s.Phase].Judged() && s.End >= now
}

// untilSeconds and untilRequests are how much a limit rule looks back at most,
// and the least it needs to see, so that one slow second does not end a search.
const (
	untilSeconds  = 5
	untilRequests = 59
)

// reached evaluates an until rule over the last seconds of the level that holds
// now, which it does for a while: a short level is looked at as a whole.
func (c *conductor) reached(u *untilRule, holds time.Duration) bool {
	n := max(1, min(untilSeconds, int(holds.Seconds())-2))
	if len(c.recent) < n {
		return false
	}
	var l measure.Live
	for i := range c.recent[len(c.recent)-n:] {
		l.Merge(&c.recent[len(c.recent)-n+i])
	}
	if l.Requests+l.NotIssued < untilRequests {
		return false
	}
	o := u.objective
	var value float64
	switch o.Metric.Kind {
	case slo.Errors:
		value = float64(l.Failures) / float64(max(l.Requests, 1))
	case slo.Quantile:
		value = l.Response.Quantile(o.Metric.Q)
	case slo.Mean:
		value = l.Response.Mean()
	case slo.Dropped:
		value = float64(l.NotIssued)
		if o.Unit == slo.Ratio {
			value /= float64(l.Requests + l.NotIssued)
		}
	case slo.Throughput:
		value = float64(l.Requests-l.Failures) / float64(n)
	default:
		return false // spec.Parse lets no other metric through
	}
	return compare(value, o.Op, o.Limit)
}

func compare(a float64, op slo.Op, b float64) bool {
	switch op {
	case slo.LT:
		return a < b
	case slo.LE:
		return a <= b
	case slo.GT:
		return a > b
	case slo.GE:
		return a >= b
	case slo.EQ:
		return a == b
	case slo.NE:
		return a != b
	}
	return false
}

// drain lets what has begun end: softly after a whole plan, and at once when
// the context has ended. It reports whether that cut anything off.
func (c *conductor) drain(ctx context.Context) (cut bool) {
	limit := c.now() + c.plan.Layout.Timeout + int64(drainSlack)
	halted := false
	for {
		if ctx.Err() != nil && !halted {
			halted = true
			for i, d := range c.drivers {
				d.do(func() { cut = cut || !c.casts[i].quiet() })
			}
			limit = min(limit, c.now()+int64(cutShort))
		}
		quiet := true
		for i, d := range c.drivers {
			d.do(func() {
				c.casts[i].drain(halted)
				quiet = c.casts[i].quiet() && quiet
			})
		}
		now := c.now()
		c.read(now)
		if quiet || now >= limit {
			break
		}
		if !c.sleep(context.WithoutCancel(ctx), int64(poll)) {
			break
		}
	}
	c.after(ctx)
	for i, d := range c.drivers {
		d.do(func() { c.casts[i].drain(true) })
	}
	return cut
}

// before makes the requests that stand before the run; false when they failed,
// or the context ended.
func (c *conductor) before(ctx context.Context) bool {
	if len(c.plan.before) == 0 {
		return true
	}
	at := c.now()
	c.tick = at + int64(time.Second)
	c.line.begin(Span{Phase: phaseMoving(0), Moving: true, Start: at})
	if !c.once(ctx, taskBefore, at+c.plan.longest(c.plan.before)) {
		if ctx.Err() == nil {
			c.aborted = "a request before the run failed: no user was let in"
		}
		c.end(c.now())
		return false
	}
	c.drivers[0].do(func() { c.shared.saved = c.casts[0].onceSaved() })
	return true
}

// after makes the requests that stand after the run. An interrupted one makes
// them as well, if they are quick.
func (c *conductor) after(ctx context.Context) {
	if len(c.plan.after) == 0 || len(c.plan.before) > 0 && c.casts[0].stats.once.Load() != onceDone {
		return // what stands before the run failed, or is still under way
	}
	limit := c.now() + c.plan.longest(c.plan.after)
	if ctx.Err() != nil {
		limit = c.now() + int64(cutShort)
	}
	c.once(context.WithoutCancel(ctx), taskAfter, limit)
}

// longest is how long requests in a row may take, redirects included.
func (p *Plan) longest(calls []*call) int64 {
	n := 0
	for _, k := range calls {
		n += 1 + k.redirects
	}
	return p.Layout.Timeout * int64(n)
}

// once lets one loop make the requests of the run itself, and reports whether
// all of them succeeded.
func (c *conductor) once(ctx context.Context, task int32, limit int64) bool {
	k := c.casts[0]
	c.drivers[0].do(func() { k.onceBegin(task, c.now()) })
	for k.stats.once.Load() == onceWaits && c.now() < limit {
		if c.read(c.now()); !c.sleep(ctx, int64(poll)) {
			return false
		}
	}
	return k.stats.once.Load() == onceDone
}

// Claims returns what is to be judged and the evidence for it. Guards of rows
// that were never called, and were not expected to be, are left out: rows that
// the load is too small to reach are named by Unreached.
func (r *Result) Claims() (claims []slo.Claim, evidence []slo.Evidence) {
	for i, claim := range r.Snapshot.Layout.Claims {
		e := r.Snapshot.Evidence(i, r.scopeSeconds(i), r.gauge(i))
		r.probed(i, &e)
		if claim.Guard && r.excused(claim, e) {
			continue
		}
		claims = append(claims, claim)
		e.Confidence = r.Looks[claim.Stage]
		evidence = append(evidence, e)
	}
	return claims, evidence
}

// Invalid says why the run may not be judged, whatever the target did: the
// generator was the bottleneck. It is empty for a valid run.
func (r *Result) Invalid() []string {
	reasons := measure.Validity(r.Snapshot, r.Health, r.Plan.Tightest())
	if r.Unfit != "" && len(reasons) == 0 {
		reasons = []string{r.Unfit}
	}
	return reasons
}

// Tightest is the least latency limit that is promised and decides, in seconds;
// 0 for none.
func (p *Plan) Tightest() (tightest float64) {
	for _, o := range p.Spec.SLOs {
		limit, ok := timed(o.Objective)
		if ok && !o.Advisory && (tightest == 0 || limit < tightest) {
			tightest = limit
		}
	}
	return tightest
}

// timed returns the limit in seconds of a promise about time.
func timed(o slo.Objective) (limit float64, ok bool) {
	switch o.Metric.Kind {
	case slo.Within:
		return o.Metric.Within.Seconds(), true
	case slo.Probe, slo.Delta:
		return 0, false // a probe reads another clock than ours
	}
	return o.Limit, o.Unit == slo.Seconds && !o.OfBaseline
}

// Unreached lists the rows whose steps sent nothing in the whole run.
func (r *Result) Unreached() (rows []string) {
	for _, row := range r.Snapshot.Rows() {
		if row.Requests == 0 && row.NotIssued == 0 {
			rows = append(rows, row.Name)
		}
	}
	return rows
}

// excused reports whether a guard has nothing to say and no reason to worry: no
// request of its row was sent where it is judged, and none is no accident,
// because the steps were skipped by a condition of the spec, or because the
// tasks that were drawn let expect fewer than expectedToOccur.
func (r *Result) excused(claim slo.Claim, e slo.Evidence) bool {
	for _, s := range e.Slots {
		if s.N > 0 {
			return false
		}
	}
	if e.Lost > 0 || claim.GuardOf == "" {
		return false
	}
	layout := r.Snapshot.Layout
	for p := range layout.Phases {
		for n, step := range layout.Steps {
			if guarded(claim, step) && r.Snapshot.Series[p*len(layout.Steps)+n].Failures() > 0 {
				return false // it failed where nobody judges: that is no pass
			}
		}
	}
	expected := 0.0
	for _, pe := range r.Plan.personas {
		drawn := 0.0 // tasks of this persona that began
		for _, t := range pe.tasks {
			if len(t.calls) > 0 {
				drawn += float64(r.issued(t.calls[0].step))
			}
		}
		for _, t := range pe.tasks {
			for _, k := range t.calls {
				if !claim.Setup && guarded(claim, layout.Steps[k.step]) && k.when == nil {
					expected += drawn * float64(t.weight) / float64(pe.weights)
				}
			}
		}
	}
	return expected < expectedToOccur
}

// guarded reports whether a step is what a guard is about.
func guarded(guard slo.Claim, s measure.Step) bool {
	return s.Name == guard.GuardOf && s.Setup == guard.Setup && slo.Matches(guard.Objective.Selector, "", s.Persona, s.Task, s.Endpoint, s.Name)
}

// issued sums a step over the phases that are judged.
func (r *Result) issued(step int) (n uint64) {
	layout := r.Snapshot.Layout
	for p, phase := range layout.Phases {
		if phase.Judged() {
			n += r.Snapshot.Series[p*len(layout.Steps)+step].Issued
		}
	}
	return n
}

// expectedToOccur is the number of expected requests from which none at all is
// no accident: with 20 expected, chance gives none once in 500 million runs.
const expectedToOccur = 20

// scopeSeconds returns the length of what claim i is judged on.
func (r *Result) scopeSeconds(i int) float64 {
	var total time.Duration
	for _, s := range r.scope(i) {
		total += s.Length()
	}
	return total.Seconds()
}

// scope returns the spans that claim i is judged on.
func (r *Result) scope(i int) (spans []Span) {
	phases := r.Snapshot.Layout.Scope(i)
	for _, s := range r.Spans {
		if slices.Contains(phases, s.Phase) && !s.Drain {
			spans = append(spans, s)
		}
	}
	return spans
}

// gauge returns the active users of a users claim, second by second.
func (r *Result) gauge(i int) []float64 {
	claim := r.Snapshot.Layout.Claims[i]
	if claim.Objective.Metric.Kind != slo.Users {
		return nil
	}
	var out []float64
	for _, s := range r.scope(i) {
		last := s.Start
		for _, g := range r.Gauges {
			if g.At < s.Start || g.At >= s.End {
				continue
			}
			if g.At-last > gaugeGap {
				out = append(out, math.NaN()) // a second in which nobody looked
			}
			last = g.At
			out = append(out, float64(r.Plan.activeOf(g, claim.Objective.Selector.Persona)))
		}
		if s.End-last > gaugeGap {
			out = append(out, math.NaN())
		}
	}
	return out
}

// probed fills in what probes say about claim i: each reading that was asked
// for in its scope, or by how much they rose over the run.
func (r *Result) probed(i int, e *slo.Evidence) {
	o := r.Snapshot.Layout.Claims[i].Objective
	if o.Metric.Kind == slo.Probe {
		readings := readingsOf(o.Metric.Name, r.Readings)
		for _, s := range r.scope(i) {
			values, why := readings.Within(s.Start, s.End)
			e.Gauge = append(e.Gauge, values...)
			e.Unread = cmp.Or(e.Unread, why)
		}
	}
	if o.Metric.Kind == slo.Delta {
		e.Left = readingsOf(o.Metric.Name, r.Readings).Delta(int64(r.Elapsed))
	}
	if o.Right.Metric.Kind == slo.Delta {
		e.Right = readingsOf(o.Right.Metric.Name, r.Readings).Delta(int64(r.Elapsed))
	}
}

// readingsOf returns those of one probe, none if it was not read.
func readingsOf(probe string, all []measure.Readings) *measure.Readings {
	for i := range all {
		if all[i].Probe == probe {
			return &all[i]
		}
	}
	return &measure.Readings{Probe: probe}
}

// gaugeGap is from how long a silence users are unknown: 2 s, twice the
// interval of the readings.
const gaugeGap = int64(2 * time.Second)

package main

import (
	"fmt"
	"math"
	"time"

	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// A foresight is what can be known about a test before it runs. Holds that may
// end early are at their longest.
type foresight struct {
	spec      *spec.Spec // as it will run
	options   exec.Options
	latency   time.Duration // that every answer is assumed to take
	likely    exec.Forecast
	prospects []prospect // as the claims of the forecast
}

// A prospect is what the load of a test holds for one promise.
type prospect struct {
	slo.Claim
	scope    scope
	expected float64 // requests that it will see, of a probe readings; +Inf: as many as the target answers
	most     float64 // the same if every answer came at once
	floor    float64 // requests that a proof takes even if all are good; 0: any number does
	shortest float64 // seconds that a proof takes
	fate     fate
	msg      string // why it will not be proven, "" if it can be
	hint     string
}

// fate is what can be known about a promise before the run.
type fate string

// The fates.
const (
	decides   fate = "yes"   // the load can prove it, and can break it
	undecided fate = "no"    // not even a run without a bad request decides it
	breaks    fate = "fails" // no run keeps it
)

// scope is where a promise looks for its requests.
type scope struct {
	objective slo.Objective // that sees the same requests in the scope as a whole
	stage     *spec.Stage   // nil: the whole run
	open      bool
	seconds   float64
	users     float64 // closed: of the persona that the promise names, or all
}

// foresee forecasts a test in which every answer takes latency. The error is
// that of exec.Compile.
func foresee(s *spec.Spec, o exec.Options, latency time.Duration) (*foresight, error) {
	p, err := exec.Compile(s.Longest(), o)
	if err != nil {
		return nil, err
	}
	f := &foresight{spec: s, options: o, latency: latency, likely: p.Forecast(latency)}
	most := p.Forecast(0)
	for i, c := range f.likely.Claims {
		pr := prospect{Claim: c.Claim, expected: c.Samples, most: most.Claims[i].Samples, fate: decides}
		if !pr.Guard {
			pr.scope = f.scopeOf(&pr)
			switch {
			case pr.Objective.Metric.Kind == slo.Probe:
				f.readings(&pr)
				f.prospects = append(f.prospects, pr)
				continue
			case pr.Objective.Metric.Kind == slo.Delta && pr.Objective.Right.Metric.Kind == 0:
				pr.expected, pr.most = 2, 2 // before the load, and after the drain
			case pr.Objective.Metric.Kind == slo.Delta:
				pr.expected = f.total(pr.Objective.Right.Selector)
			case pr.Objective.After != "":
				pr.expected = f.sees(f.spec, &pr.scope, latency)
				pr.most = f.sees(f.spec, &pr.scope, 0)
			case pr.Objective.OverRun():
				pr.expected = f.total(pr.Objective.Selector)
			}
			f.need(&pr)
			f.judge(&pr)
		}
		f.prospects = append(f.prospects, pr)
	}
	return f, nil
}

// scopeOf finds the requests of a promise: those of its stage, and for a
// recovery those of the stage after the peak.
func (f *foresight) scopeOf(pr *prospect) scope {
	sc := scope{objective: pr.Objective}
	name := pr.Stage
	if peak := f.number(pr.Objective.After); peak >= 0 {
		name = f.spec.Stages[peak+1].Name
		sc.objective.After, sc.objective.Within, sc.objective.During = "", 0, name
	}
	sc.objective.Every, sc.objective.InShare = 0, 0
	no := f.number(name)
	if no < 0 {
		return sc
	}
	st := f.likely.Stages[no]
	sc.stage, sc.open = f.spec.Stages[no], st.Open
	for _, pt := range st.Parts {
		if pt.Moving && !sc.objective.IncludingRamps {
			continue
		}
		sc.seconds += pt.Over.Seconds()
		users := 0
		for i, n := range pt.ByPersona {
			if who := sc.objective.Selector.Persona; who == "" || who == f.spec.Personas[i].Name {
				users += n
			}
		}
		sc.users = max(sc.users, float64(users))
	}
	return sc
}

// number returns the index of a stage, -1 for none.
func (f *foresight) number(stage string) int {
	for i, st := range f.spec.Stages {
		if st.Name == stage {
			return i
		}
	}
	return -1
}

// sees returns how many requests a scope has in another size of the test; 0 if
// there is no such test, or no such scope in it.
func (f *foresight) sees(s *spec.Spec, sc *scope, latency time.Duration) float64 {
	only := s.Longest()
	only.SLOs = []spec.SLO{{Objective: sc.objective}}
	if sc.stage == nil || len(only.Judged(sc.objective)) == 0 {
		return 0
	}
	p, err := exec.Compile(only, f.options)
	if err != nil {
		return 0
	}
	for _, c := range p.Forecast(latency).Claims {
		if c.Claim.Stage == sc.stage.Name && !c.Claim.Guard {
			return c.Samples
		}
	}
	return 0
}

// total returns how many requests the selector has in the whole run.
func (f *foresight) total(sel slo.Selector) float64 {
	sum := 0.0
	for _, st := range f.spec.Stages {
		every := slo.Objective{Metric: slo.Metric{Kind: slo.Requests}, Selector: sel, During: st.Name, IncludingRamps: true}
		sum += f.sees(f.spec, &scope{objective: every, stage: st}, f.latency)
	}
	return sum
}

// need finds what it takes at least to prove a promise: slo.Need for a scope as
// a whole, and enough for each window where the promise is asked of windows.
func (f *foresight) need(pr *prospect) {
	o := &pr.Objective
	switch {
	case o.Window() > 0:
		pr.floor = onAverage(o.LeastPerWindow()) * pr.scope.seconds / o.Window().Seconds()
	case f.spec.Confidence.Off:
	default:
		confidence, _ := f.confidence(pr.scope.stage)
		requests, seconds := slo.Need(*o, math.Inf(1), confidence)
		if requests > 1 { // one is what every promise takes
			pr.floor = requests
		}
		if !pr.Setup { // users are set up when they come, and not over a hold
			pr.shortest = seconds
		}
	}
}

// onAverage returns how many requests windows must have on average for nearly
// all of them to have the least: counts of independent arrivals scatter by
// their square root, and one window in forty lies two of these below.
func onAverage(least uint64) float64 {
	n := float64(least)
	return math.Ceil(n + 2*math.Sqrt(n))
}

// confidence returns the confidence at which a stage is judged in the end, and
// how many looks share the error.
func (f *foresight) confidence(st *spec.Stage) (level float64, looks int) {
	level = f.spec.Confidence.Level
	if st == nil || st.ForMax == 0 {
		return level, 1
	}
	all := slo.Looks(st.For, st.ForMax, level)
	return all[len(all)-1].Confidence, len(all)
}

// judge finds out whether a promise can be kept and proven.
func (f *foresight) judge(pr *prospect) {
	o, sc := &pr.Objective, &pr.scope
	switch {
	case o.OverRun() || o.OfBaseline:
	case o.Metric.Kind == slo.Users:
		if o.Limit > sc.users || o.Op == slo.GT && o.Limit == sc.users {
			if (o.Op == slo.GT || o.Op == slo.GE) && !sc.open {
				pr.fate, pr.hint = breaks, "raise the level of the stage"
				pr.msg = fmt.Sprintf("cannot hold: the stage holds %s", countText(sc.users))
			}
		}
	case f.tooMuch(pr):
	case pr.expected < max(pr.floor, 1):
		pr.fate, pr.msg = undecided, f.tooFew(pr)
		pr.hint = f.remedy(pr)
	case sc.stage != nil && sc.seconds < pr.shortest:
		pr.fate, pr.hint = undecided, f.remedy(pr)
		pr.msg = fmt.Sprintf("cannot be proven: the stage holds for %s, and a proof takes %s",
			spec.FormatDuration(seconds(sc.seconds)), spec.FormatDuration(seconds(pr.shortest)))
	case o.After != "":
		f.watch(pr)
	case o.Every.Seconds() > sc.seconds && sc.stage != nil && o.LeastPerWindow() <= 1:
		pr.fate, pr.hint = undecided, "hold at least "+spec.FormatDuration(o.Every)
		pr.msg = fmt.Sprintf("cannot be judged: its windows of %s are longer than the stage", spec.FormatDuration(o.Every))
	}
}

// tooMuch reports whether a promise asks for more requests than there can be.
func (f *foresight) tooMuch(pr *prospect) bool {
	o, sc := &pr.Objective, &pr.scope
	if o.Op != slo.GT && o.Op != slo.GE || o.InShare > 0 {
		return false
	}
	var bound float64
	var text, hint string
	switch {
	case o.Metric.Kind == slo.Throughput && sc.seconds > 0:
		bound = pr.most / sc.seconds
		text, hint = rateText(bound), "raise the level, or shorten the think time"
	case (o.Metric.Kind == slo.Requests || o.Metric.Kind == slo.Successes) && o.Every > 0:
		bound = pr.most / sc.seconds * o.Every.Seconds()
		text, hint = aboutText(bound)+" in a window", "raise the level of the stage, or write longer windows"
	case o.Metric.Kind == slo.Requests || o.Metric.Kind == slo.Successes:
		bound = pr.most
		text, hint = aboutText(bound), "hold the stage longer, or raise its level"
	default:
		return false
	}
	switch {
	case bound < o.Limit || o.Op == slo.GT && bound == o.Limit:
		pr.fate, pr.hint = breaks, hint
		pr.msg = "cannot hold: even if every answer came at once it would see " + text
	case o.Metric.Kind == slo.Throughput && sc.open && o.Limit >= bound*(1-1e-9):
		pr.fate, pr.hint = undecided, "promise a little less than what is offered"
		pr.msg = "cannot be proven: the stage offers no more than " + text
	default:
		return false
	}
	return true
}

// tooFew says how many requests a promise will see, and how many it takes.
func (f *foresight) tooFew(pr *prospect) string {
	seen := fmt.Sprintf("if every answer takes %s", spec.FormatDuration(f.latency))
	o := &pr.Objective
	if window := o.Window(); window > 0 && pr.floor > 0 {
		return fmt.Sprintf("cannot be proven: its windows of %s will see about %s each %s, and each takes %s (%s on average, as they scatter)",
			spec.FormatDuration(window), requests(pr.expected/pr.scope.seconds*window.Seconds()), seen,
			countText(float64(o.LeastPerWindow())), countText(onAverage(o.LeastPerWindow())))
	}
	msg := fmt.Sprintf("cannot be proven: it will see about %s %s", requests(pr.expected), seen)
	if pr.floor == 0 {
		return msg
	}
	msg += fmt.Sprintf(", and a proof with %s confidence", slo.FormatValue(f.spec.Confidence.Level, slo.Ratio))
	if _, looks := f.confidence(pr.scope.stage); looks > 1 {
		msg += fmt.Sprintf(" in all %d looks together", looks)
	}
	return msg + " takes " + countText(pr.floor)
}

// requests writes an expected number of requests.
func requests(n float64) string {
	if text := aboutText(n); text != "1" {
		return text + " requests"
	}
	return "1 request"
}

// watch finds out whether a recovery is watched for as long as it may take.
func (f *foresight) watch(pr *prospect) {
	peak := f.number(pr.Objective.After)
	after, held := time.Duration(0), false
	for _, pt := range f.likely.Stages[peak].Parts {
		if held && pt.Moving {
			after += pt.Over
		}
		held = held || !pt.Moving
	}
	next := f.likely.Stages[peak+1]
	for _, pt := range next.Parts {
		after += pt.Over
	}
	if within := pr.Objective.Within; after < within {
		hold := max(pr.scope.stage.For, pr.scope.stage.ForMax) + within - after
		pr.fate, pr.hint = undecided, fmt.Sprintf("hold %s at least %s", next.Name, spec.FormatDuration(roundUp(hold)))
		pr.msg = fmt.Sprintf("cannot be broken: it may take %s, and only %s follow the peak", spec.FormatDuration(within), spec.FormatDuration(after))
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

package compare

import (
	"fmt"
	"math"
	"slices"

	"tollgate/internal/measure"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// Again judges a stored run once more, by the claims of its own verdict and from
// what it has counted. Where the counts that a claim rests on are not in the
// document, untold says so at the claim's index, and it has no data.
func Again(d *report.Document) (j report.Judging, untold map[int]string, err error) {
	return again(d, func(slo.Claim, slo.Evidence) bool { return false })
}

// Recovered judges a run that came to no end of its own. Guards of what was not
// called until then have nothing to say, and are left out.
func Recovered(d *report.Document) (report.Judging, error) {
	j, _, err := again(d, func(c slo.Claim, ev slo.Evidence) bool {
		seen := ev.Lost
		for _, s := range ev.Slots {
			seen += s.N
		}
		return c.Guard && seen == 0
	})
	return j, err
}

func again(d *report.Document, leaveOut func(slo.Claim, slo.Evidence) bool) (j report.Judging, untold map[int]string, err error) {
	run, err := open(d)
	if err != nil {
		return j, nil, err
	}
	var claims []slo.Claim
	names := d.ProbeNames()
	for i := range d.Record.Claims {
		c, err := d.Record.Claims[i].Claim(names)
		if err != nil {
			return j, nil, fmt.Errorf("claim %d: %w", i+1, err)
		}
		if i < len(d.SLOs) && !c.Guard {
			c.Objective.Text, c.Line, c.Col = d.SLOs[i].Claim, d.SLOs[i].Line, d.SLOs[i].Col
		}
		claims = append(claims, c)
	}
	steps := make([]measure.Step, len(d.Record.Steps))
	for i, s := range d.Record.Steps {
		steps[i] = s.Step
	}
	layout := measure.NewLayout(steps, d.Record.Phases, claims)
	layout.Timeout = int64(math.Round(d.Record.Timeout * 1e9))
	r := regating{stored: run, layout: layout}
	j.Options = slo.Options{Confidence: d.Record.Confidence, Off: d.Record.Confidence == 0}
	untold = map[int]string{}
	for i, c := range claims {
		ev, from := r.evidence(i)
		if leaveOut(c, ev) {
			continue
		}
		stored := &d.Record.Claims[i]
		ev.Confidence = stored.Confidence
		if stored.Baseline != "" {
			ev.Baseline = slo.Baseline{Of: stored.Baseline, Value: float64(stored.Value)}
		}
		if from.missing != "" {
			untold[len(j.Claims)] = from.missing
		}
		j.Claims, j.Evidence = append(j.Claims, c), append(j.Evidence, ev)
	}
	j.Judgement = slo.Judge(j.Claims, j.Evidence, j.Options)
	decides := func(r slo.Result) bool { return !r.Claim.Guard && !r.Claim.Advisory }
	if j.Judgement.Overall == slo.OverallPass && !slices.ContainsFunc(j.Judgement.Results, decides) {
		j.Judgement.Overall = slo.OverallNone // nothing was promised
	}
	return j, untold, nil
}

// Contradictions judges a stored run again and says where its verdict is not the
// one that its own counts lead to. What the counts do not tell is listed apart:
// it was not judged again.
func Contradictions(d *report.Document) (against, untold []string) {
	j, missing, err := Again(d)
	if err != nil {
		return []string{fmt.Sprintf("it cannot be judged again: %v", err)}, nil
	}
	add := func(format string, args ...any) { against = append(against, fmt.Sprintf(format, args...)) }
	for i := range d.SLOs {
		was, now := &d.SLOs[i], &j.Judgement.Results[i]
		name := was.Claim
		if was.Stage != "" {
			name += " on " + was.Stage
		}
		if !sameClaim(was, &now.Claim, d.ProbeNames()) {
			add("%s was judged as %s", name, d.Record.Claims[i].SLO)
			continue
		}
		switch why, not := missing[i]; {
		case not:
			untold = append(untold, fmt.Sprintf("%s: %s", name, why))
		case was.Verdict != now.Verdict:
			add("%s is %s, and its counters say %s", name, was.Verdict, now.Verdict)
		case was.Requests != now.N || was.Bad != now.Bad || was.Lost != now.Lost:
			add("%s: %d of %d requests, %d lost; its counters say %d of %d, %d lost", name, was.Bad, was.Requests, was.Lost, now.Bad, now.N, now.Lost)
		}
	}
	const passed, breached, unproven = 0, 3, 4
	again := report.OverallOf(j.Judgement.Overall, d.ExitCode, d.Complete)
	// A run that was given up fails for what could no longer be kept.
	givenUp := !d.Complete && d.Overall == slo.OverallFail
	switch {
	case d.Overall == slo.OverallPass && (d.ExitCode != passed || !d.Complete || len(d.Record.Invalid) > 0):
		add("the verdict is a pass, of a run that cannot pass: exit code %d, complete %v, %d reasons not to judge it", d.ExitCode, d.Complete, len(d.Record.Invalid))
	case len(untold) > 0 && again == slo.OverallInconclusive, d.Overall == again, givenUp && again != slo.OverallFail:
	default:
		add("the verdict is %s, and its counters say %s", d.Overall, again)
	}
	if (d.ExitCode == passed) != (d.Overall == slo.OverallPass) || d.ExitCode == breached && d.Overall != slo.OverallFail ||
		d.ExitCode == unproven && (d.Overall == slo.OverallPass || d.Overall == slo.OverallFail) {
		add("the exit code is %d, beside the verdict %s", d.ExitCode, d.Overall)
	}
	return against, untold
}

// sameClaim tells whether a claim as it is shown is the one that was judged.
func sameClaim(shown *report.SLO, c *slo.Claim, names slo.Names) bool {
	o := &c.Objective
	written, err := slo.ParseWith(shown.Claim, names) // a guard was never written
	return (shown.Guard || err == nil && written.String() == o.String()) &&
		shown.Stage == c.Stage && shown.Guard == c.Guard && shown.Advisory == c.Advisory &&
		shown.Metric == o.Metric.String() && shown.Selector == o.Selector.String() && shown.Op == o.Op.String() && shown.Limit == o.LimitText()
}

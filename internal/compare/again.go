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
	decides := func(c slo.Claim) bool { return !c.Guard && !c.Advisory }
	if j.Judgement.Overall == slo.OverallPass && !slices.ContainsFunc(j.Claims, decides) {
		j.Judgement.Overall = slo.OverallNone // nothing was promised
	}
	return j, untold, nil
}

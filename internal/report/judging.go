package report

import (
	"fmt"

	"tollgate/pkg/slo"
)

// Judging is a judgement and what it rests on beside what was counted: a stored
// result can be judged again by it.
type Judging struct {
	Judgement slo.Judgement
	Claims    []slo.Claim    // nil: those of the results
	Evidence  []slo.Evidence // for each claim; nil where nothing was looked at
	Options   slo.Options
}

// Claim is a claim as it can be judged again.
type Claim struct {
	SLO      string `json:"slo"`   // in canonical form: slo.Parse reads it
	Stage    string `json:"stage"` // "" for the whole run
	Guard    bool   `json:"guard"`
	GuardOf  string `json:"guard_of"` // row that a guard protects
	Setup    bool   `json:"setup"`    // about set-up traffic alone
	Advisory bool   `json:"advisory"`
	// Confidence is that of the look at which a hold of open length ended, 0
	// for that of the record.
	Confidence float64 `json:"confidence"`
	Baseline   string  `json:"baseline"`       // of which stored run, "" for none
	Value      Number  `json:"baseline_value"` // in base units; null for no data
}

// ProbeNames are the names that the document's claims may use as metrics.
func (d *Document) ProbeNames() (names slo.Names) {
	for _, p := range d.Probes {
		names.Probes = append(names.Probes, p.Name)
	}
	return names
}

// Claim returns the claim in the form that is judged; names are those of the
// probes that it may be about.
func (c *Claim) Claim(names slo.Names) (slo.Claim, error) {
	o, err := slo.ParseWith(c.SLO, names)
	if err != nil {
		return slo.Claim{}, fmt.Errorf("%q: %w", c.SLO, err)
	}
	return slo.Claim{Objective: o, Stage: c.Stage, Guard: c.Guard, GuardOf: c.GuardOf, Setup: c.Setup, Advisory: c.Advisory}, nil
}

// judged notes what the document was judged by.
func (r *Record) judged(j Judging) {
	r.Confidence = j.Options.Confidence
	if r.Confidence == 0 {
		r.Confidence = slo.DefaultConfidence
	}
	if j.Options.Off {
		r.Confidence = 0
	}
	r.Claims = []Claim{}
	if j.Claims == nil {
		for _, result := range j.Judgement.Results {
			j.Claims = append(j.Claims, result.Claim)
		}
	}
	for i, of := range j.Claims {
		c := Claim{
			SLO: of.Objective.String(), Stage: of.Stage, Guard: of.Guard, GuardOf: of.GuardOf,
			Setup: of.Setup, Advisory: of.Advisory, Value: none,
		}
		if i < len(j.Evidence) {
			c.Confidence = j.Evidence[i].Confidence
			c.Baseline, c.Value = j.Evidence[i].Baseline.Of, none
			if c.Baseline != "" {
				c.Value = number(j.Evidence[i].Baseline.Value)
			}
		}
		r.Claims = append(r.Claims, c)
	}
}

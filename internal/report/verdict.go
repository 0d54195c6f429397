package report

import "tollgate/pkg/slo"

// VerdictFile is verdict.json: small, stable, and meant for other programs.
type VerdictFile struct {
	Version  int          `json:"version"`
	Name     string       `json:"name"`
	Verdict  slo.Overall  `json:"verdict"`
	ExitCode int          `json:"exit_code"`
	Complete bool         `json:"complete"`
	Regated  string       `json:"regated,omitempty"` // the spec whose promises these are, if the run had others
	Reasons  []string     `json:"reasons"`
	SLOs     []SLOVerdict `json:"slos"`
}

// SLOVerdict is one claim in verdict.json. Value and Limit are in the same
// unit: seconds, a ratio, per second, a count or bytes. Value is null where
// there is no finite value.
type SLOVerdict struct {
	SLO      string      `json:"slo"`
	Stage    string      `json:"stage"`
	Verdict  slo.Verdict `json:"verdict"`
	Observed string      `json:"observed"`
	Value    Number      `json:"value"`
	Limit    float64     `json:"limit"`
	Requests uint64      `json:"requests"`
	Guard    bool        `json:"guard"`
	Advisory bool        `json:"advisory"`
}

// Verdict returns what verdict.json says.
func (d *Document) Verdict() VerdictFile {
	v := VerdictFile{
		Version: d.Version, Name: d.Name, Verdict: d.Overall, ExitCode: d.ExitCode,
		Complete: d.Complete, Reasons: list(d.Reasons), SLOs: make([]SLOVerdict, len(d.SLOs)),
	}
	if d.Regated != nil {
		v.Regated = d.Regated.Spec.File
	}
	for i, s := range d.SLOs {
		v.SLOs[i] = SLOVerdict{
			SLO: s.Claim, Stage: s.Stage, Verdict: s.Verdict, Observed: s.Observed, Value: s.Value,
			Limit: s.LimitValue, Requests: s.Requests, Guard: s.Guard, Advisory: s.Advisory,
		}
	}
	return v
}

// Encode returns the bytes of verdict.json.
func (v VerdictFile) Encode() ([]byte, error) { return encode(v, "  ") }

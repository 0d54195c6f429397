package main

import (
	"fmt"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
)

// A baseline is a stored run that promises are compared with.
type baseline struct {
	name string
	doc  *report.Document
}

// readBaseline reads a baseline, and refuses one that the plan cannot be
// compared with: better before the load than after it.
func (a *app) readBaseline(name string, p *exec.Plan) (*baseline, error) {
	doc, err := readResult(name)
	if err != nil {
		return nil, err
	}
	b := &baseline{name: name, doc: doc}
	asked := false
	for _, o := range p.Spec.SLOs {
		asked = asked || o.Objective.OfBaseline
	}
	if !asked {
		fmt.Fprintf(a.err, "runner: no SLO is of a baseline, so %s is not looked at\n", name)
		return nil, nil
	}
	why := compare.Short(doc, p.Spec)
	why = append(why, doc.Record.Invalid...)
	// Topology and data are known when the run is over.
	mine := compare.Fingerprint(p.Spec, report.Generator{Version: buildVersion()})
	mine.Topology = doc.Fingerprint.Topology
	mine.Data = doc.Fingerprint.Data // likewise
	why = append(why, unlike(compare.Unlike(doc.Fingerprint, mine))...)
	if len(why) == 0 {
		return b, nil
	}
	for i := range why {
		why[i] = fmt.Sprintf("no baseline: %s cannot be compared with this run: %s", name, why[i])
	}
	return nil, &fault{exit: state{invalid: why}.exit(), hint: "run the spec once as it is now, and take that result"}
}

// fill hands the baseline's values to the claims that are a share of them. What
// it returns says why it could not.
func (b *baseline) fill(claims []slo.Claim, evidence []slo.Evidence, own report.Fingerprint) (refused []string) {
	for _, why := range unlike(compare.Unlike(b.doc.Fingerprint, own)) {
		refused = append(refused, fmt.Sprintf("no baseline: %s cannot be compared with this run: %s", b.name, why))
	}
	if len(refused) > 0 {
		return refused
	}
	if err := compare.AgainstBaseline(b.doc, claims, evidence); err != nil {
		return []string{fmt.Sprintf("no baseline: %s: %v", b.name, err)}
	}
	return nil
}

package main

import (
	"fmt"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
)

// A baseline is a stored run that promises are compared with, and the summary.
type baseline struct {
	name  string
	doc   *report.Document
	asked bool // an SLO is of a baseline
}

// readBaseline reads a baseline, and refuses one that the plan cannot be
// compared with: better before the load than after it. Where no SLO asks for
// it, that is said, and nothing is compared.
func (a *app) readBaseline(name string, p *exec.Plan) (*baseline, error) {
	doc, err := readResult(name)
	if err != nil {
		return nil, err
	}
	b := &baseline{name: name, doc: doc}
	for _, o := range p.Spec.SLOs {
		b.asked = b.asked || o.Objective.OfBaseline
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
	if !b.asked {
		fmt.Fprintf(a.err, "runner: no SLO is of a baseline, and %s is not shown beside this run: %s\n", name, why[0])
		return nil, nil
	}
	for i := range why {
		why[i] = fmt.Sprintf("no baseline: %s cannot be compared with this run: %s", name, why[i])
	}
	return nil, &fault{exit: state{invalid: why}.exit(), hint: "run the spec once as it is now, and take that result"}
}

// fill hands the baseline's values to the claims that are a share of them. What
// it returns says why it could not.
func (b *baseline) fill(claims []slo.Claim, evidence []slo.Evidence, own report.Fingerprint) (refused []string) {
	if !b.asked {
		return nil
	}
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

// beside sets what moved into the document of a run that was whole and may be
// judged; of any other it would say nothing.
func (b *baseline) beside(doc *report.Document) {
	if !doc.Complete || len(doc.Record.Invalid) > 0 || len(compare.Unlike(b.doc.Fingerprint, doc.Fingerprint)) > 0 {
		return
	}
	moves, err := compare.Moves(b.doc, doc, confidenceOfResults)
	if err != nil {
		return // a log that this process wrote, and one that was checked when it was read
	}
	doc.Baseline.Started, doc.Baseline.Moves = b.doc.Started, moves
}

package main

import (
	"fmt"
	"strings"

	"tollgate/pkg/slo"
)

// code is an exit code: a contract with the programs that call this one.
type code int

// The exit codes. 2 is never ours: it is what Go gives a panic.
const (
	pass         code = 0
	internal     code = 1
	breach       code = 3
	inconclusive code = 4
	badSpec      code = 5
	refused      code = 6
	unreachable  code = 7
	seedFailed   code = 8
	interrupted  code = 9
	cleanFailed  code = 10
	notStored    code = 11
)

// codes say what each code is called, and when it is given.
var codes = []struct {
	code       code
	name, when string
}{
	{pass, "pass", "every SLO was judged on enough data and holds, and the results are stored"},
	{internal, "internal", "a bug of this program"},
	{breach, "breach", "an SLO does not hold"},
	{inconclusive, "inconclusive", "not proven, no data, nothing promised, or a run that may not be judged"},
	{badSpec, "bad_spec", "wrong usage, or faults in the spec: nothing was sent"},
	{refused, "refused", "the target may not be loaded, or the database not be seeded: nothing was sent, nothing written; or a result is not genuine, or contradicts itself"},
	{unreachable, "unreachable", "the target, the database, or a probe that an SLO rests on, did not answer as it should before the run: no load was sent"},
	{seedFailed, "seed_failed", "the database could not be prepared, and was rolled back"},
	{interrupted, "interrupted", "a signal ended the run: a partial report is written; or a killed run was recovered"},
	{cleanFailed, "cleanup_failed", "rows were left in the database"},
	{notStored, "not_stored", "the results could not be written"},
}

// String returns the code's name as verdict.json writes it.
func (c code) String() string {
	for _, k := range codes {
		if k.code == c {
			return k.name
		}
	}
	return fmt.Sprintf("code(%d)", int(c))
}

// state is everything that the exit code of an ended run depends on: the
// reasons for each way to end. The zero state is a run that nobody judged,
// which is not a pass.
type state struct {
	internal    []string
	notStored   []string
	interrupted []string
	badSpec     []string
	refused     []string
	unreachable []string
	seedFailed  []string
	invalid     []string // why the run may not be judged
	verdict     slo.Overall
	unkept      []string // why the verdict is not a pass
	cleanFailed []string
}

// exit is how a command ended.
type exit struct {
	code    code
	reasons []string // of the code first, then all others; none for a pass
}

// exit maps a state to the code it ends in: the first of these causes that
// there is. The reasons of the others follow, since a run can have ended badly
// in more than one way.
func (s state) exit() exit {
	var breached, unproven []string
	switch s.verdict {
	case slo.OverallPass:
	case slo.OverallFail:
		breached = s.unkept
	default:
		unproven = s.unkept
	}
	e := exit{code: pass}
	for _, cause := range []struct {
		code    code
		reasons []string
	}{
		{internal, s.internal},
		{notStored, s.notStored},
		{interrupted, s.interrupted},
		{badSpec, s.badSpec},
		{refused, s.refused},
		{unreachable, s.unreachable},
		{seedFailed, s.seedFailed},
		{inconclusive, s.invalid},
		{breach, breached},
		{inconclusive, unproven},
		{cleanFailed, s.cleanFailed},
	} {
		if len(cause.reasons) > 0 && len(e.reasons) == 0 {
			e.code = cause.code
		}
		e.reasons = append(e.reasons, cause.reasons...)
	}
	switch {
	case len(e.reasons) > 0 || s.verdict == slo.OverallPass:
		return e
	case s.verdict == slo.OverallFail:
		return exit{breach, []string{"an SLO does not hold"}}
	}
	return exit{inconclusive, []string{"nothing was proven"}}
}

// A fault ends a command with another code than 0.
type fault struct {
	exit
	hint string // what to do about it, "" if the reason says it all
	told bool   // the output says it already
}

func (f *fault) Error() string { return strings.Join(f.reasons, "; ") }

// misuse is a fault of the command line.
func misuse(hint, format string, args ...any) *fault {
	return &fault{exit: state{badSpec: []string{fmt.Sprintf(format, args...)}}.exit(), hint: hint}
}

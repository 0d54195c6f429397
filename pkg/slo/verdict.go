package slo

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Verdict is the judgement of one claim. The zero value is NoData: what nobody
// has judged is never green.
type Verdict uint8

// The verdicts.
const (
	NoData Verdict = iota
	Pass
	Fail
	Inconclusive
)

var verdictNames = []string{"no_data", "pass", "fail", "inconclusive"}

// String returns the verdict as files write it: no_data, pass, fail, inconclusive.
func (v Verdict) String() string { return nameOf(verdictNames, int(v)) }

// MarshalJSON writes the verdict's name.
func (v Verdict) MarshalJSON() ([]byte, error) { return marshalName(verdictNames, int(v), "verdict") }

// UnmarshalJSON reads a verdict's name and refuses every other text.
func (v *Verdict) UnmarshalJSON(data []byte) error {
	i, err := unmarshalName(verdictNames, data, "verdict")
	if err != nil {
		return err
	}
	*v = Verdict(i)
	return nil
}

// Overall is the judgement of a whole run. The zero value is OverallNone.
type Overall uint8

// The overall judgements.
const (
	OverallNone         Overall = iota // nothing was promised
	OverallPass                        // every deciding claim passed
	OverallFail                        // at least one failed
	OverallInconclusive                // none failed, and at least one is inconclusive or without data
)

var overallNames = []string{"none", "pass", "fail", "inconclusive"}

// String returns the judgement as files write it: none, pass, fail, inconclusive.
func (o Overall) String() string { return nameOf(overallNames, int(o)) }

// MarshalJSON writes the judgement's name.
func (o Overall) MarshalJSON() ([]byte, error) {
	return marshalName(overallNames, int(o), "overall verdict")
}

// UnmarshalJSON reads a judgement's name and refuses every other text.
func (o *Overall) UnmarshalJSON(data []byte) error {
	i, err := unmarshalName(overallNames, data, "overall verdict")
	if err != nil {
		return err
	}
	*o = Overall(i)
	return nil
}

func nameOf(names []string, i int) string {
	if i >= len(names) {
		return fmt.Sprintf("verdict(%d)", i)
	}
	return names[i]
}

func marshalName(names []string, i int, what string) ([]byte, error) {
	if i >= len(names) {
		return nil, fmt.Errorf("%d is no %s", i, what)
	}
	return json.Marshal(names[i])
}

func unmarshalName(names []string, data []byte, what string) (int, error) {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return 0, fmt.Errorf("%s is no %s: write one of %s", data, what, oneOf(names))
	}
	i := slices.Index(names, name)
	if i < 0 {
		return 0, fmt.Errorf("%q is no %s: write one of %s", name, what, oneOf(names))
	}
	return i, nil
}

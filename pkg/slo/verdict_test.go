package slo

import (
	"encoding/json"
	"testing"
)

func TestTheZeroVerdictIsNotAPass(t *testing.T) {
	if v := (Result{}).Verdict; v != NoData || v.String() != "no_data" {
		t.Errorf("the zero verdict is %v", v)
	}
	if o := (Judgement{}).Overall; o != OverallNone || o.String() != "none" {
		t.Errorf("the zero judgement is %v", o)
	}
}

func TestVerdictsKeepTheirNamesInJSON(t *testing.T) {
	for v, name := range map[Verdict]string{NoData: "no_data", Pass: "pass", Fail: "fail", Inconclusive: "inconclusive"} {
		data, err := json.Marshal(v)
		var back Verdict
		if err != nil || string(data) != `"`+name+`"` || json.Unmarshal(data, &back) != nil || back != v {
			t.Errorf("%v is %s in JSON and comes back as %v (%v)", v, data, back, err)
		}
	}
	for o, name := range map[Overall]string{OverallNone: "none", OverallPass: "pass", OverallFail: "fail", OverallInconclusive: "inconclusive"} {
		data, err := json.Marshal(o)
		var back Overall
		if err != nil || string(data) != `"`+name+`"` || json.Unmarshal(data, &back) != nil || back != o {
			t.Errorf("%v is %s in JSON and comes back as %v (%v)", o, data, back, err)
		}
	}
}

func TestUnknownVerdictsAreRefused(t *testing.T) {
	for _, text := range []string{`"passed"`, `"PASS"`, `""`, `1`, `true`, `null`, `{}`} {
		v, o := Fail, OverallFail
		if json.Unmarshal([]byte(text), &v) == nil || v != Fail {
			t.Errorf("%s is read as verdict %v", text, v)
		}
		if json.Unmarshal([]byte(text), &o) == nil || o != OverallFail {
			t.Errorf("%s is read as overall verdict %v", text, o)
		}
	}
	if _, err := json.Marshal(Verdict(9)); err == nil {
		t.Error("a verdict without a name is written")
	}
	if _, err := json.Marshal(Overall(9)); err == nil {
		t.Error("an overall verdict without a name is written")
	}
}

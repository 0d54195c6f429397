package probe

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSamplesThatMatchAreSummed(t *testing.T) {
	const page = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000
http_requests_total{ method = "get" , code = "200" , } 12

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
# TYPE heap gauge
  heap 1e6
nothing NaN`
	for name, c := range map[string]struct {
		metric string
		labels map[string]string
		want   found
	}{
		"all":                                 {"http_requests_total", nil, found{samples: 3, value: 1042, counter: true}},
		"by one label":                        {"http_requests_total", map[string]string{"method": "post"}, found{samples: 2, value: 1030, counter: true}},
		"by two":                              {"http_requests_total", map[string]string{"method": "post", "code": "400"}, found{samples: 1, value: 3, counter: true}},
		"by none there":                       {"http_requests_total", map[string]string{"method": "put"}, found{samples: 0, value: 0, counter: true}},
		"by an empty label":                   {"http_requests_total", map[string]string{"pod": ""}, found{samples: 3, value: 1042, counter: true}},
		"by an empty label that is not empty": {"http_requests_total", map[string]string{"code": ""}, found{samples: 0, value: 0, counter: true}},
		"escaped":                             {"msdos_file_access_time_seconds", map[string]string{"path": `C:\DIR\FILE.TXT`, "error": "Cannot find file:\n\"FILE.TXT\""}, found{samples: 1, value: 1.458255915e9, counter: false}},
		"bare":                                {"metric_without_timestamp_and_labels", nil, found{samples: 1, value: 12.47, counter: false}},
		"infinite":                            {"something_weird", nil, found{samples: 1, value: math.Inf(1), counter: false}},
		"part of a histogram":                 {"http_request_duration_seconds_count", nil, found{samples: 1, value: 144320, counter: true}},
		"a gauge":                             {"heap", nil, found{samples: 1, value: 1e6, counter: false}},
		"a prefix of a name":                  {"http_requests", nil, found{samples: 0, value: 0, counter: false}},
	} {
		got, err := sum(strings.NewReader(page), wanted{c.metric, c.labels})
		got.others = 0
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	if got, err := sum(strings.NewReader(page), wanted{metric: "nothing"}); err != nil || !math.IsNaN(got.value) {
		t.Errorf("NaN is read as %+v, %v", got, err)
	}
}

func TestPageWithOneBadLineIsNone(t *testing.T) {
	for line, want := range map[string]string{
		"<html><body>Sign in</body></html>": "line 2: a sample without a name",
		"up":                                "line 2: a sample is a name",
		"up{} ":                             "line 2: a sample is a name",
		"up one":                            `line 2: "one" is no number`,
		"up 0x10":                           `line 2: "0x10" is no number`,
		"up 1_000":                          `line 2: "1_000" is no number`,
		"up 1 soon":                         `line 2: "soon" is no time`,
		"up 1 2 3":                          "line 2: a sample is a name",
		`up{a="1} 1`:                        "line 2: a label's value has no closing quote",
		`up{a="1\`:                          "line 2: a label's value has no closing quote",
		`up{a='1'} 1`:                       "line 2: the value of a label stands in quotes",
		`up{a} 1`:                           `line 2: labels are written name="value"`,
		`up{a="1" b="2"} 1`:                 "line 2: labels end with a brace",
		`up{a="1"`:                          "line 2: labels end with a brace",
		`up{a="1",a="2"} 1`:                 "line 2: label a stands twice",
		"9up 1":                             "line 2: a sample without a name",
		"\x1f\x8b\x08\x00":                  "line 2: a sample without a name",
	} {
		_, err := sum(strings.NewReader("up 1\n"+line+"\nup 1\n"), wanted{"up", map[string]string{"a": "1"}})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s…", line, err, want)
		}
	}
}

func TestEndlessLineIsRefused(t *testing.T) {
	_, err := sum(strings.NewReader("up 1\nup{a=\""+strings.Repeat("x", mostOfLine)+"\"} 1\n"), wanted{metric: "up"})
	if !errors.Is(err, errEndless) {
		t.Errorf("read a line of 64 KiB: %v", err)
	}
}

// What a client writes by the rules is read as it was meant.
func TestWrittenPageIsReadBack(t *testing.T) {
	escape := strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z_:][a-zA-Z0-9_:]{0,5}`)
		label := rapid.StringMatching(`[a-c]`)
		value := rapid.StringMatching(`[a-z\\"\n,={} #é]{0,6}`)
		var page bytes.Buffer
		want := wanted{metric: name.Draw(t, "wanted"), labels: rapid.MapOfN(label, value, 0, 2).Draw(t, "labels")}
		total, n := 0.0, 0
		for range rapid.IntRange(0, 6).Draw(t, "samples") {
			metric := rapid.OneOf(name, rapid.Just(want.metric)).Draw(t, "metric")
			labels := rapid.OneOf(rapid.Just(want.labels), rapid.MapOfN(label, value, 0, 3)).Draw(t, "of")
			var pairs []string
			for k, v := range labels {
				pairs = append(pairs, fmt.Sprintf(`%s="%s"`, k, escape.Replace(v)))
			}
			v := rapid.IntRange(-9, 99).Draw(t, "value")
			fmt.Fprintf(&page, "%s{%s} %d\n", metric, strings.Join(pairs, ","), v)
			matches := metric == want.metric
			for k, v := range want.labels {
				matches = matches && labels[k] == v
			}
			if matches {
				total, n = total+float64(v), n+1
			}
		}
		got, err := sum(&page, want)
		if err != nil || got.samples != n || got.value != total {
			t.Fatalf("%+v, %v, want %d samples of %v in all", got, err, n, total)
		}
	})
}

func FuzzExposition(f *testing.F) {
	for _, page := range []string{
		"up 1\n", "up{a=\"1\"} 1 1\n", "# TYPE up counter\nup NaN", "up{a=\"\\n\\\\\\\"\\x\",} +Inf", "{} 1", "up{,} 1", "a:b 1e400",
	} {
		f.Add([]byte(page))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		got, err := sum(bytes.NewReader(page), wanted{"up", map[string]string{"a": "1", "b": ""}})
		if err != nil && got != (found{}) {
			t.Errorf("%+v of a page that is none: %v", got, err)
		}
		if got.samples == 0 && got.value != 0 {
			t.Errorf("%v of no sample", got.value)
		}
		// The order of what does not match means nothing, and a further line is read.
		if err == nil && len(page) < mostOfLine/2 {
			more, err := sum(bytes.NewReader(append(append([]byte{}, page...), "\nup{a=\"1\"} 2\n"...)), wanted{"up", map[string]string{"a": "1", "b": ""}})
			if err != nil || more.samples != got.samples+1 {
				t.Errorf("with another line: %+v, %v, was %+v", more, err, got)
			}
		}
	})
}

func FuzzQueryAnswer(f *testing.F) {
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`))
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}`))
	f.Add(400, []byte(`{"status":"error","errorType":"bad_data","error":"parse error"}`))
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		if v, err := result(status, text); err != nil && v != 0 || err == nil && status != 200 {
			t.Errorf("%v, %v", v, err)
		}
	})
}

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"tollgate/bench/truth"
)

// k6 checks its answers and renders its bodies, as the runner does. It answers
// an arrival only while a virtual user is free.
var k6 = client{
	name: "k6", program: "k6", install: "go install go.k6.io/k6@v1.8.1",
	call: func(l load, url string) *call {
		var more []string
		switch l.kind {
		case rows, visits:
			return nil
		case https, http2:
			l.kind = get
			more = []string{"K6_INSECURE_SKIP_TLS_VERIFY=true"}
		}
		return &call{
			args: []string{"run", "--quiet", "--no-usage-report", "k6.js"},
			env: append(more,
				"BENCH_KIND="+string(l.kind), "BENCH_URL="+url, "BENCH_USERS="+strconv.Itoa(l.users),
				"BENCH_RATE="+strconv.Itoa(l.rate), "BENCH_RAMP="+l.ramp.String(), "BENCH_FOR="+l.seconds(),
			),
		}
	},
	quantiles: func(dir string, _ []byte) (map[string]float64, error) {
		text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
		if err != nil {
			return nil, err
		}
		var values map[string]float64 // milliseconds
		if err := json.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("k6's summary: %w", err)
		}
		m := map[string]float64{}
		for _, q := range truth.Quantiles {
			if ms, ok := values["p("+truth.Name(q)[1:]+")"]; ok {
				m[truth.Name(q)] = ms / 1e3
			}
		}
		return m, nil
	},
}

//go:build linux

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"tollgate/bench/truth"
)

// locust has no arrivals: each user keeps a rate of its own. It checks its
// answers and renders its bodies, as the runner does.
var locust = client{
	name: "Locust", program: "locust", pack: "python3-locust", install: "apt-get install python3-locust",
	call: func(l load, url string) *call {
		switch l.kind {
		case rows, visits, https, http2:
			return nil
		}
		spawn := float64(l.users)
		if l.ramp > 0 {
			spawn /= l.ramp.Seconds()
		}
		return &call{
			args: []string{"-f", "locustfile.py", "--headless", "--only-summary", "--csv", "locust", "--host", url,
				"-u", strconv.Itoa(l.users), "-r", strconv.FormatFloat(spawn, 'g', -1, 64),
				"-t", (l.ramp + l.during).Round(time.Second).String()},
			env: []string{"BENCH_KIND=" + string(l.kind), "BENCH_RATE_PER_USER=" + strconv.FormatFloat(l.perUser(), 'g', -1, 64)},
		}
	},
	quantiles: func(dir string, _ []byte) (map[string]float64, error) {
		text, err := os.ReadFile(filepath.Join(dir, "locust_stats.csv"))
		if err != nil {
			return nil, err
		}
		table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil || len(table) < 2 {
			return nil, fmt.Errorf("locust's table: %d lines, %w", len(table), err)
		}
		total := table[len(table)-1]
		m := map[string]float64{}
		for _, q := range truth.Quantiles {
			i := slices.Index(table[0], truth.Name(q)[1:]+"%")
			if i < 0 {
				continue
			}
			if ms, err := strconv.ParseFloat(total[i], 64); err == nil {
				m[truth.Name(q)] = ms / 1e3
			}
		}
		return m, nil
	},
}

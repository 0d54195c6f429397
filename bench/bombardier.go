//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
)

var bombardier = client{
	name: "bombardier", program: "bombardier", install: "go install github.com/codesenberg/bombardier@v1.2.6",
	call: func(l load, url string) *call {
		args := []string{"-c", strconv.Itoa(l.users), "-d", l.seconds(), "-l", "-p", "r", "-o", "json"}
		switch l.kind {
		case get:
		case post:
			args = append(args, "-m", "POST", "-f", "body.json", "-H", "Content-Type: application/json")
		case open:
			args = append(args, "-r", strconv.Itoa(l.rate))
		case https:
			args = append(args, "-k")
		case http2:
			args = append(args, "-k", "--http2")
		default:
			return nil
		}
		return &call{args: append(args, url+l.path())}
	},
	quantiles: func(_ string, stdout []byte) (map[string]float64, error) {
		var doc struct {
			Result struct {
				Latency struct{ Percentiles map[string]float64 } // microseconds
			}
		}
		if err := json.Unmarshal(stdout, &doc); err != nil {
			return nil, fmt.Errorf("bombardier's result: %w", err)
		}
		m := map[string]float64{}
		for p, us := range doc.Result.Latency.Percentiles {
			m["p"+p] = us / 1e6
		}
		return m, nil
	},
}

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// fortio's histogram has a resolution of 1 ms unless told otherwise.
var fortio = client{
	name: "fortio", program: "fortio", install: "go install fortio.org/fortio@v1.66.2",
	call: func(l load, url string) *call {
		args := []string{"load", "-quiet", "-qps", strconv.Itoa(l.rate), "-c", strconv.Itoa(l.users), "-t", l.seconds(),
			"-r", "0.0001", "-p", "50,90,95,99,99.9", "-json", "fortio.json"}
		switch l.kind {
		case get:
		case post:
			args = append(args, "-payload-file", "body.json", "-content-type", "application/json")
		case open:
			args = append(args, "-uniform")
		case https:
			args = append(args, "-k")
		case http2:
			args = append(args, "-k", "-stdclient", "-h2")
		default:
			return nil
		}
		return &call{args: append(args, url+l.path())}
	},
	quantiles: func(dir string, _ []byte) (map[string]float64, error) {
		text, err := os.ReadFile(filepath.Join(dir, "fortio.json"))
		if err != nil {
			return nil, err
		}
		var doc struct {
			DurationHistogram struct {
				Percentiles []struct{ Percentile, Value float64 }
			}
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("fortio's result: %w", err)
		}
		m := map[string]float64{}
		for _, p := range doc.DurationHistogram.Percentiles {
			m["p"+strconv.FormatFloat(p.Percentile, 'g', -1, 64)] = p.Value
		}
		return m, nil
	},
}

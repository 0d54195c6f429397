//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// runnerClient is the runner: recording, checks and rendered requests are on.
func runnerClient(path string) client {
	return client{
		name: subject, program: "runner", path: path, ours: true,
		call: func(l load, url string) *call {
			args := []string{"run", string(l.kind) + ".yaml", "--target", url,
				"--loops", "1", "--quiet", "--json", "--out", "result"}
			switch l.kind {
			case open:
				args = append(args, "--rate", strconv.Itoa(l.rate)+"/s")
			case rows: // three stages share the time
				l.during /= 3
				args = append(args, "--users", strconv.Itoa(l.users))
			default:
				args = append(args, "--users", strconv.Itoa(l.users))
			}
			if l.ramp > 0 && l.kind != rows {
				args = append(args, "--ramp", l.ramp.String())
			}
			return &call{args: append(args, "--for", l.during.String())}
		},
		quantiles: func(dir string, _ []byte) (map[string]float64, error) {
			doc, err := readDocument(dir)
			if err != nil {
				return nil, err
			}
			m := map[string]float64{}
			for name, v := range map[string]*float64{
				"p50": doc.Total.Response.P50, "p90": doc.Total.Response.P90, "p95": doc.Total.Response.P95,
				"p99": doc.Total.Response.P99, "p99.9": doc.Total.Response.P999,
			} {
				if v != nil {
					m[name] = *v
				}
			}
			return m, nil
		},
	}
}

// connClient is the runner with the driver that it takes for TLS, HTTP/2 and
// other systems, where its own loop could do: on the loads that saturate a core.
func connClient(path string) client {
	c := runnerClient(path)
	whole := c.call
	c.name, c.install = subject+", driver conn", "this runner has no --driver"
	c.call = func(l load, url string) *call {
		if l.kind != get && l.kind != post {
			return nil
		}
		how := whole(l, url)
		how.args = append(how.args, "--driver", "conn")
		return how
	}
	return c
}

// hasDriver tells whether a runner can be told its driver.
func hasDriver(path string) bool {
	out, err := exec.Command(path, "run", "--help").Output()
	return err == nil && strings.Contains(string(out), "--driver")
}

// A document is what of result.json is compared.
type document struct {
	ExitName string `json:"exit_name"`
	Lag      latency
	Total    struct{ Response latency }

	Accounting struct {
		Planned, Issued, Ok, Failed, Aborted uint64

		NotIssued uint64 `json:"not_issued"`
	}
	Generator struct{ Driver string }
}

// latency is in seconds; nil is not finite.
type latency struct{ P50, P90, P95, P99, P999 *float64 }

func readDocument(dir string) (*document, error) {
	text, err := os.ReadFile(filepath.Join(dir, "result", "result.json"))
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("result.json: %w", err)
	}
	return &doc, nil
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// recording takes what one sample costs from the benchmark of the function that
// records it: its CPU time by getrusage, because others may be on its core.
func recording(ctx context.Context, b *bench) (section, error) {
	const samples = 5_000_000
	test := filepath.Join(b.dir, "measure.test")
	build := []string{"test", "-c", "-o", test, "./internal/measure"}
	args := []string{"-test.run", "^$", "-test.bench", "^BenchmarkRecord$", "-test.benchmem", "-test.benchtime", fmt.Sprintf("%dx", samples)}
	sec := section{
		title:    "Recording a sample",
		prose:    fmt.Sprintf("A success with four claims on it: response and service time to three digits, the second of its row, the live view, and the counters of the claims. CPU time of %s of them, the start of the process included.", grouped(samples)),
		commands: []string{"go test -c -o measure.test ./internal/measure", "measure.test " + strings.Join(args, " ")},
	}
	cmd := exec.CommandContext(ctx, "go", build...)
	cmd.Dir = b.module
	if out, err := cmd.CombinedOutput(); err != nil {
		return sec, fmt.Errorf("%w\n%s", err, out)
	}
	var used, allocs []float64
	for range min(b.options.rounds, most) {
		cmd := exec.CommandContext(ctx, test, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		p, err := startOn(clientCore(), cmd)
		if err == nil {
			err = p.wait()
		}
		if err != nil {
			return sec, fmt.Errorf("%w\n%s", err, out.Bytes())
		}
		n, err := allocations(out.String())
		if err != nil {
			return sec, err
		}
		used, allocs = append(used, float64(p.usage())/samples), append(allocs, n)
	}
	ns, each := ascending(used), ascending(allocs)
	sec.tables = []table{{
		head:  []string{"ns a sample", "allocations a sample"},
		lines: [][]string{{ns.text(digits), each.text(digits)}},
	}}
	sec.goals = []goal{{
		figure: "recording one sample", limit: "at most 60 ns, no allocation",
		measured: ns.text(digits) + " ns, " + each.text(digits) + " allocations",
		reached:  ns.median() <= 60 && each.most() == 0,
	}}
	return sec, nil
}

// allocations reads what `go test -bench -benchmem` prints of one benchmark.
func allocations(text string) (float64, error) {
	fields := strings.Fields(text)
	for i, f := range fields {
		if f == "allocs/op" && i > 0 {
			return strconv.ParseFloat(fields[i-1], 64)
		}
	}
	return 0, fmt.Errorf("no benchmark in %q", text)
}

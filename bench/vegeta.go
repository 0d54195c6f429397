//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
)

var vegeta = client{
	name: "vegeta", program: "vegeta", install: "go install github.com/tsenart/vegeta/v12@latest",
	call: func(l load, url string) *call {
		args := []string{"attack", "-duration", l.seconds(), "-rate", strconv.Itoa(l.rate)}
		c := &call{stdin: "GET " + url + l.path() + "\n"}
		switch l.kind {
		case get:
		case https, http2: // as the target's certificate lets it choose
			args = append(args, "-insecure")
		case post:
			c.stdin = "POST " + url + l.path() + "\nContent-Type: application/json\n@body.json\n"
		case open:
			c.args = append(args, "-connections", "10000", "-output", "attack.bin")
			c.after = []string{"encode", "-to", "csv", "-output", "attack.csv", "attack.bin"}
			return c
		default:
			return nil
		}
		n := strconv.Itoa(l.users)
		c.args = append(args, "-workers", n, "-max-workers", n, "-connections", n, "-output", os.DevNull)
		return c
	},
	// Every response time in nanoseconds.
	quantiles: func(dir string, _ []byte) (map[string]float64, error) {
		text, err := os.ReadFile(filepath.Join(dir, "attack.csv"))
		if err != nil {
			return nil, err
		}
		return columnQuantiles(text, 2, 1e-9, "vegeta's table")
	},
}

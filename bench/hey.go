//go:build linux

package main

import (
	"strconv"
)

// hey sets its rate for each worker.
var hey = client{
	name: "hey", program: "hey", pack: "hey", install: "go install github.com/rakyll/hey@v0.1.5",
	call: func(l load, url string) *call {
		args := []string{"-z", l.seconds(), "-c", strconv.Itoa(l.users)}
		switch l.kind {
		case get:
		case post:
			args = append(args, "-m", "POST", "-D", "body.json", "-T", "application/json")
		case open:
			args = append(args, "-q", strconv.FormatFloat(l.perUser(), 'g', -1, 64), "-o", "csv")
		case https: // it trusts every certificate
		case http2:
			args = append(args, "-h2")
		default:
			return nil
		}
		return &call{args: append(args, url+l.path())}
	},
	// Every response time in seconds, to the tenth of a millisecond.
	quantiles: func(_ string, stdout []byte) (map[string]float64, error) {
		return columnQuantiles(stdout, 0, 1, "hey's table")
	},
}

//go:build linux

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"tollgate/bench/truth"
)

// columnQuantiles reads one column of a CSV table of single response times, in
// units of so many seconds. Lines without a number there, such as the head, are
// left out.
func columnQuantiles(text []byte, column int, unit float64, what string) (map[string]float64, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	var values []float64
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if column >= len(fields) {
			continue
		}
		if v, err := strconv.ParseFloat(fields[column], 64); err == nil {
			values = append(values, v*unit)
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s has no response times", what)
	}
	slices.Sort(values)
	m := map[string]float64{}
	for _, q := range truth.Quantiles {
		m[truth.Name(q)] = truth.Quantile(values, q)
	}
	return m, nil
}

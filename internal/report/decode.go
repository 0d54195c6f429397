package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"tollgate/schema"
)

// Decode reads a stored result. It refuses every other version, whatever its
// schema does not allow, and histograms, timelines and records that contradict
// themselves or the rows: what it returns renders like the document that was stored.
func Decode(data []byte) (*Document, error) {
	var head struct {
		Version *int `json:"version"`
	}
	value, err := jsonValue(data)
	if err != nil {
		return nil, fmt.Errorf("not a result: %w", err)
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Version == nil {
		return nil, errors.New("not a result: it has no version")
	}
	if *head.Version != Version {
		return nil, fmt.Errorf("a result of version %d, and this runner reads version %d: use the runner that wrote it", *head.Version, Version)
	}
	if err := resultSchema().Validate(value); err != nil {
		return nil, fmt.Errorf("not a whole result: %s", complaint(err))
	}
	d := &Document{}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("not a whole result: %w", err)
	}
	if err := d.consistent(); err != nil {
		return nil, fmt.Errorf("not a whole result: %w", err)
	}
	editStrings(d, true, clean) // the file may have passed through other hands
	return d, nil
}

// jsonValue reads exactly one JSON value, with numbers as they are written.
func jsonValue(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the document")
	}
	return value, nil
}

var resultSchema = sync.OnceValue(func() *jsonschema.Schema {
	const name = "result.v1.json"
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.LoadURL = func(url string) (io.ReadCloser, error) { return nil, fmt.Errorf("%s is not embedded", url) }
	if err := c.AddResource(name, bytes.NewReader(schema.Result)); err != nil {
		panic("report: " + err.Error())
	}
	return c.MustCompile(name)
})

// complaint names the first place that a schema refused, and why.
func complaint(err error) string {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	at := strings.Trim(invalid.InstanceLocation, "/")
	if at == "" {
		return clean(invalid.Message)
	}
	return clean(at + ": " + invalid.Message)
}

// consistent reports what a schema cannot see.
func (d *Document) consistent() error {
	if err := d.Lag.Histogram.check(); err != nil {
		return fmt.Errorf("lag: %w", err)
	}
	for _, row := range append([]Row{d.Total}, d.Rows...) {
		h := &row.Histograms
		for _, h := range []*Histogram{&h.Success, &h.Service, &h.Connect, &h.Failed} {
			if err := h.check(); err != nil {
				return fmt.Errorf("row %q: %w", row.Name, err)
			}
		}
	}
	if len(d.Record.Claims) != len(d.SLOs) {
		return fmt.Errorf("record: %d claims beside %d SLOs", len(d.Record.Claims), len(d.SLOs))
	}
	if err := d.Record.check(d.Rows); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for _, s := range d.Timeline {
		for _, n := range []int{len(s.Requests), len(s.Failures), len(s.NotIssued), len(s.P50), len(s.P95), len(s.P99)} {
			if n != len(s.Second) {
				return fmt.Errorf("timeline of %q: a column of %d values beside %d seconds", s.Row, n, len(s.Second))
			}
		}
	}
	for i := range d.Probes {
		if err := d.Probes[i].check(); err != nil {
			return fmt.Errorf("probe %q: %w", d.Probes[i].Name, err)
		}
	}
	for _, column := range [][]Number{d.Health.CPU, d.Health.LagP99, d.Health.GCPause, d.Health.Throttled, d.Health.Steal} {
		if len(column) != len(d.Health.At) {
			return fmt.Errorf("health: a column of %d values beside %d moments", len(column), len(d.Health.At))
		}
	}
	for _, p := range d.Users.Personas {
		if len(p.Active) != len(d.Users.At) {
			return fmt.Errorf("users of %q: %d values beside %d moments", p.Persona, len(p.Active), len(d.Users.At))
		}
	}
	return nil
}

// The number of buckets of an HdrHistogram of 1 µs to 1 h, by its digits.
const buckets3, buckets2 = 23 << 10, 26 << 7

// check reports what makes a histogram unusable.
func (h *Histogram) check() error {
	size := buckets3
	if h.Digits == 2 {
		size = buckets2
	}
	next, total := uint64(0), uint64(0)
	for _, b := range h.Buckets {
		if b[0] < next || b[0] >= uint64(size) {
			return fmt.Errorf("a histogram has bucket %d out of order or range", b[0])
		}
		if total+b[1] < total {
			return errors.New("a histogram counts past 64 bits")
		}
		next, total = b[0]+1, total+b[1]
	}
	if total != h.Count {
		return fmt.Errorf("a histogram holds %d values of %d", total, h.Count)
	}
	return nil
}

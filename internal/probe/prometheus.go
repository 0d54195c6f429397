package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/reach"
	"tollgate/pkg/spec"
)

// mostOfAnswer is how long the answer to a query may be, in bytes.
const mostOfAnswer = 1 << 20

// prometheus asks a server for the value of an expression at this moment.
type prometheus struct {
	client
	base    *url.URL
	query   string
	counter bool
}

func newPrometheus(d *spec.Probe, hosts reach.Hosts) (source, string, error) {
	u, err := webURL(d.Prometheus)
	if err != nil {
		return nil, "", err
	}
	p := &prometheus{client: newClient(u, hosts), base: u, query: d.Query, counter: risesOnly(d.Query)}
	return p, fmt.Sprintf("does Prometheus answer at %s, and does the query give one element there?", u.Host), nil
}

func (p *prometheus) read(ctx context.Context) (a answer, err error) {
	u := p.base.JoinPath("api/v1/query")
	values := u.Query()
	values.Set("query", p.query)
	if end, ok := ctx.Deadline(); ok {
		values.Set("timeout", strconv.FormatInt(max(1, time.Until(end).Milliseconds()), 10)+"ms")
	}
	u.RawQuery = values.Encode()
	err = p.get(ctx, u, "application/json", mostOfAnswer, func(status int, body io.Reader) error {
		text, err := io.ReadAll(body)
		if err != nil {
			return unreached(err)
		}
		a.value, err = result(status, text)
		return err
	})
	a.counter = p.counter
	return a, err
}

// result reads the answer to an instant query: a scalar, or a vector of exactly
// one element.
func result(status int, text []byte) (float64, error) {
	var all struct {
		Status string
		Error  string
		Data   struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	err := json.Unmarshal(text, &all)
	switch {
	case all.Error != "": // which comes with a status of 400, 422 or 503
		return 0, errors.New(all.Error)
	case status != http.StatusOK:
		return 0, fmt.Errorf("status %d", status)
	case err != nil || all.Status != "success":
		return 0, errors.New("the answer is not Prometheus's")
	}
	switch all.Data.ResultType {
	case "scalar":
		return sample(all.Data.Result)
	case "vector":
		var elements []struct{ Value json.RawMessage }
		if err := json.Unmarshal(all.Data.Result, &elements); err != nil {
			return 0, errors.New("the answer is not Prometheus's")
		}
		switch len(elements) {
		case 0:
			return 0, errors.New("the query gives nothing")
		case 1:
			if elements[0].Value == nil {
				return 0, errors.New("the query gives a histogram, and a probe reads one number")
			}
			return sample(elements[0].Value)
		}
		return 0, fmt.Errorf("the query gives %d elements, and a probe reads one number: write sum(…) or max(…)", len(elements))
	}
	return 0, fmt.Errorf("the query gives a %.20q, and a probe reads one number", all.Data.ResultType)
}

// sample reads [moment, "value"].
func sample(text json.RawMessage) (float64, error) {
	var pair []json.RawMessage
	var value string
	if json.Unmarshal(text, &pair) != nil || len(pair) != 2 || json.Unmarshal(pair[1], &value) != nil {
		return 0, errors.New("the answer is not Prometheus's")
	}
	return number([]byte(value))
}

var counterName = regexp.MustCompile(`\b[a-zA-Z_:][a-zA-Z0-9_:]*_(total|count|sum|bucket)\b`)

// risesOnly tells whether an expression is about counters as they stand. Its
// value falls when one of them begins anew. What ranges over time ([5m]) has
// seen to that itself.
func risesOnly(query string) bool {
	return counterName.MatchString(query) && !strings.Contains(query, "[")
}

// number reads a number as Prometheus writes it: Go's, with Inf and NaN.
func number(text []byte) (float64, error) {
	if bytes.ContainsAny(text, "_xXpP") { // which ParseFloat would take for digits and hexadecimals
		return 0, fmt.Errorf("%.40q is no number", text)
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%.40q is no number", text)
	}
	return v, nil // beyond the range it is infinite, or 0
}

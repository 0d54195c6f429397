// Package probe reads values from the system's side while the load runs: an
// SQL scalar, an instant query of Prometheus, a metric of a /metrics page. A
// probe that does not answer is data that says so, and never a value.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"tollgate/pkg/spec"
)

const (
	every   = 5 * time.Second // between readings, unless the spec says otherwise
	longest = 5 * time.Second // that a reading may take
)

// Pace returns how long lies between two readings of a probe.
func Pace(p *spec.Probe) time.Duration { return cmp.Or(p.Every, every) }

// answer is what a source says.
type answer struct {
	value   float64
	counter bool // it can only rise: see measure.Readings
}

// A source is where one probe reads. It is read by one goroutine at a time.
// The errors of read say why there is no answer, without passwords.
type source interface {
	read(ctx context.Context) (answer, error)
	// refused returns why its host may not be connected to. It sends nothing there.
	refused(ctx context.Context) error
	close()
}

// A Probe is a declared probe that can be read.
type Probe struct {
	Name    string
	every   time.Duration
	source  source
	hint    string // what to look at when it does not answer
	secrets []string
}

// Open makes the probes of a spec ready to be read; it sends nothing. They
// connect only to hosts that are allowed (see internal/reach; nil: any). The
// probes are to be closed. An error names the probe's place in the spec.
func Open(declared []*spec.Probe, secrets, allow []string) ([]*Probe, error) {
	var all []*Probe
	servers := servers{}
	for _, d := range declared {
		p := &Probe{Name: d.Name, every: Pace(d), secrets: secrets}
		var err error
		switch {
		case d.SQL != "":
			p.source, p.hint, err = servers.query(d, allow)
		case d.Query != "":
			p.source, p.hint, err = newPrometheus(d, allow)
		default:
			p.source, p.hint, err = newScrape(d, allow)
		}
		if err != nil {
			Close(all)
			return nil, fmt.Errorf("%s:%d:%d: probe %s: %s", d.Pos.File, d.Pos.Line, d.Pos.Col, d.Name, p.masked(err.Error()))
		}
		all = append(all, p)
	}
	return all, nil
}

// Close lets go of all connections.
func Close(all []*Probe) {
	for _, p := range all {
		p.source.close()
	}
}

// deadline is how long a reading may take: it is over when the next is due.
func (p *Probe) deadline() time.Duration { return min(p.every, longest) }

// ask reads the probe once.
func (p *Probe) ask(ctx context.Context) (a answer, why string) {
	ctx, cancel := context.WithTimeout(ctx, p.deadline())
	defer cancel()
	a, err := p.source.read(ctx)
	switch {
	case err == nil && math.IsNaN(a.value):
		why = "the value is not a number"
	case err == nil && math.IsInf(a.value, 0):
		why = "the value is infinite"
	case err == nil:
		return a, ""
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		why = fmt.Sprintf("nothing within %s", spec.FormatDuration(p.deadline()))
	case ctx.Err() != nil:
		why = "the run ended before it answered"
	default:
		why = p.masked(err.Error())
	}
	a.value = math.NaN()
	return a, why
}

// Refused returns which probes are at hosts that may not be connected to, in the
// order of the spec. It sends nothing to them.
func Refused(ctx context.Context, all []*Probe) (reasons []string) {
	for _, p := range all {
		if err := p.source.refused(ctx); err != nil {
			reasons = append(reasons, "probe "+p.Name+" refused: "+p.masked(err.Error()))
		}
	}
	return reasons
}

// Silence is a probe that did not answer, and why.
type Silence struct {
	Probe string
	Why   string // "SELECT …: relation \"alerts\" does not exist"
	Hint  string // what to look at
}

// Check reads every probe once, all at the same time, and returns those that do
// not answer, in the order of the spec.
func Check(ctx context.Context, all []*Probe) []Silence {
	whys := make([]string, len(all))
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() { _, whys[i] = p.ask(ctx) })
	}
	group.Wait()
	var silent []Silence
	for i, p := range all {
		if whys[i] != "" {
			silent = append(silent, Silence{Probe: p.Name, Why: whys[i], Hint: p.hint})
		}
	}
	return silent
}

// masked takes the spec's secrets out of a text, and what could end its line.
func (p *Probe) masked(text string) string {
	for _, s := range p.secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// unreached says in a few words why a server could not be asked.
func unreached(err error) error {
	var dns *net.DNSError
	var number syscall.Errno
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("%s has no address", dns.Name)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &number):
		return errors.New(number.Error())
	}
	return err
}

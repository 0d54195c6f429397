//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"tollgate/bench/truth"
)

// A cell is one load against one target.
type cell struct {
	name   string
	load   load
	target []string // flags of the target
}

// A sample is one run of one client.
type sample struct {
	client string
	cell   string
	round  int
	load   load

	ledger    truth.Ledger
	lasted    time.Duration
	cpu       time.Duration // user and system time of the client, start-up and report included
	startup   time.Duration // of it, before the first connection came
	targetCPU time.Duration
	resident  int64              // peak, bytes
	reported  map[string]float64 // response times by quantile, seconds
	document  *document          // of the runner

	steal  time.Duration // of both cores together
	others time.Duration // CPU time of everybody else
	thefts map[int64]time.Duration

	command string
}

// perRequest is the client's CPU time for each request that the target counted.
func (s sample) perRequest() time.Duration {
	return s.cpu / time.Duration(max(s.ledger.Requests, 1))
}

// share is how much of the offered load the target received; 0 where no rate
// was offered.
func (s sample) share() float64 {
	planned := float64(s.load.rate) * s.load.during.Seconds()
	if planned == 0 {
		return 0
	}
	return float64(s.ledger.Requests) / planned
}

// errIncapable: the client cannot make such a load.
var errIncapable = errors.New("cannot make this load")

// take runs one client against a new target.
func (b *bench) take(ctx context.Context, c client, at cell, round int) (s sample, err error) {
	s = sample{client: c.name, cell: at.name, round: round, load: at.load}
	if c.call(at.load, "") == nil {
		return s, errIncapable
	}
	ctx, cancel := context.WithTimeout(ctx, 2*at.load.ramp+at.load.during+time.Minute)
	defer cancel()
	dir, err := b.workFolder()
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)

	side, url, err := b.serve(ctx, at.target)
	if err != nil {
		return s, err
	}
	how := c.call(at.load, url)
	s.command = written(c.program, how, at.target)
	cmd := exec.CommandContext(ctx, c.path, how.args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), how.env...)
	cmd.Stdin = strings.NewReader(how.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr

	before, stealing := clock(), watchSteal()
	child, err := startOn(clientCore(), cmd)
	if err != nil {
		stealing.end()
		return s, errors.Join(err, side.end())
	}
	ended := child.wait()
	s.thefts = stealing.end()
	spent := clock().minus(before)
	s.ledger, err = ledger(ctx, url)
	if err := errors.Join(err, side.end()); err != nil {
		return s, err
	}
	if ctx.Err() != nil {
		return s, ctx.Err()
	}

	s.lasted, s.cpu, s.resident = child.lasted, child.usage(), child.resident()
	s.startup = child.usedBy(time.Unix(0, s.ledger.Connections.First))
	s.targetCPU = side.usage()
	s.steal = spent.steal
	s.others = max(spent.busy-s.cpu-s.targetCPU, 0)
	if c.ours {
		// It exits non-zero whenever it judges the run unfit; what counts here
		// is that the run took place.
		if s.document, err = readDocument(dir); err != nil {
			return s, fmt.Errorf("%w: %w\n%s%s", cmp.Or(ended, err), err, stdout.Bytes(), stderr.Bytes())
		}
	}
	if s.ledger.Requests == 0 && ended == nil {
		return s, fmt.Errorf("no request came\n%s%s", stdout.Bytes(), stderr.Bytes())
	} else if ended != nil && s.ledger.Requests == 0 {
		return s, fmt.Errorf("%w\n%s%s", ended, stdout.Bytes(), stderr.Bytes())
	}
	if len(how.after) > 0 {
		again := exec.CommandContext(ctx, c.path, how.after...)
		again.Dir = dir
		if out, err := again.CombinedOutput(); err != nil {
			return s, fmt.Errorf("%w\n%s", err, out)
		}
	}
	if c.quantiles != nil && at.load.kind == open {
		s.reported, err = c.quantiles(dir, stdout.Bytes())
	}
	return s, err
}

// written is how the client was started, in a shell's words; PORT is the target's.
func written(program string, how *call, target []string) string {
	var words []string
	if how.stdin != "" {
		words = append(words, "printf", "'"+strings.ReplaceAll(how.stdin, "\n", `\n`)+"'", "|")
	}
	words = append(words, how.env...)
	words = append(words, program)
	for _, a := range how.args {
		if strings.ContainsAny(a, " {}") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	text := port.ReplaceAllString(strings.Join(words, " "), "127.0.0.1:PORT")
	if len(target) > 0 {
		text += "   # target " + strings.Join(target, " ")
	}
	return text
}

// serve starts a target on its core and returns it with its URL.
func (b *bench) serve(ctx context.Context, flags []string) (*side, string, error) {
	cmd := exec.CommandContext(ctx, b.target, flags...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	p, err := startOn(targetCore(), cmd)
	if err != nil {
		return nil, "", fmt.Errorf("target: %w", err)
	}
	s := &side{p}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("target told no address: %w", err), s.end())
	}
	scheme := "http://"
	if slices.Contains(flags, "-tls") {
		scheme = "https://"
	}
	return s, scheme + strings.TrimSpace(address), nil
}

// A side is a running target.
type side struct{ *process }

// end stops the target, which serves until it is ended.
func (s *side) end() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.wait() // it ends by the signal
	return err
}

// asker asks targets, whose certificates nobody has signed.
var asker = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
}}

func ledger(ctx context.Context, url string) (l truth.Ledger, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+truth.Path, nil)
	if err != nil {
		return l, err
	}
	resp, err := asker.Do(req)
	if err != nil {
		return l, fmt.Errorf("target's ledger: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
		return l, fmt.Errorf("target's ledger: %w", err)
	}
	return l, nil
}

package exec

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"tollgate/internal/httpwire"
	"tollgate/internal/reach"
	"tollgate/pkg/spec"
)

// ErrUnreachable: the target did not answer as the spec's `ready` asks, or not
// at all. Nothing was sent but the preflight request.
var ErrUnreachable = errors.New("target unreachable")

// ErrRefused: the target's address is not one that may be loaded. Nothing was sent.
var ErrRefused = errors.New("target refused")

// PreflightOptions bound where load may go.
type PreflightOptions struct {
	// Allow lists host patterns ("*.test.example", "10.0.0.5", "10.0.0.0/8");
	// when given, it alone decides. It stands outside the spec, so that a spec
	// cannot widen it.
	Allow []string
	// Limit bounds the whole preflight; 0 means 10 s.
	Limit time.Duration
}

// Preflight resolves the targets of a spec, checks that they may be loaded, and
// asks whether they are ready. It returns the addresses that the connections of
// the run go to: what was checked is what is dialled.
func Preflight(ctx context.Context, s *spec.Spec, o PreflightOptions) (*Addresses, error) {
	if o.Limit <= 0 {
		o.Limit = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()

	a := newAddresses(s, o.Allow)
	found := make([][]netip.Addr, len(a.targets))
	for i, t := range a.targets { // all of them, before anything is sent to one
		addrs, err := reach.Resolve(ctx, t.Host)
		if err != nil {
			return nil, fmt.Errorf("%w: %s has no address: %w", ErrUnreachable, t.Host, err)
		}
		for _, addr := range addrs {
			if err := allowed(t.Host, addr, o.Allow); err != nil {
				return nil, err
			}
		}
		found[i] = addrs
	}
	for i, t := range a.targets {
		if err := a.greet(ctx, i, t, found[i], o.Limit); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	return a, nil
}

// greet asks the first address of a target that answers whether it is ready,
// and keeps it and those of the others that take a connection.
func (a *Addresses) greet(ctx context.Context, i int, t *spec.Target, found []netip.Addr, limit time.Duration) error {
	var list []netip.AddrPort
	var last error
	for k, addr := range found {
		to := netip.AddrPortFrom(addr, uint16(t.Port))
		asked := *t
		if len(list) > 0 {
			asked.Ready = nil // one has said that the system is ready
		}
		if err := readyWithin(ctx, limit/time.Duration(len(found)-k+1), len(found)-k, &asked, to); err != nil {
			last = err
			a.silent = append(a.silent, to)
			continue
		}
		list = append(list, to)
	}
	if len(list) == 0 {
		return last
	}
	sortAddresses(list)
	a.lists[i].Store(&list)
	return nil
}

// allowed returns ErrRefused unless the address of a host may be loaded.
func allowed(host string, a netip.Addr, patterns []string) error {
	if err := reach.Hosts(patterns).Check(host, a); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// readyWithin asks one of the addresses that are left; a silent one must leave
// time for the others.
func readyWithin(ctx context.Context, share time.Duration, left int, t *spec.Target, to netip.AddrPort) error {
	if left == 1 {
		return ready(ctx, t, to)
	}
	ctx, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	return ready(ctx, t, to)
}

// ready makes the spec's ready request, or only connects where there is none. It
// goes the way that the load would go by the conn driver.
func ready(ctx context.Context, t *spec.Target, to netip.AddrPort) error {
	zero := time.Now()
	d, err := newDialer(t, zero)
	if err != nil {
		return err
	}
	x := &exchange{zero: zero}
	defer x.recycle()
	stop := context.AfterFunc(ctx, x.cancel)
	defer stop()
	w := x.dials(d, to)
	if w == nil {
		return advised("", x.err)
	}
	defer w.close()
	if t.Ready == nil {
		return nil
	}
	line := t.Ready.Method + " " + t.Ready.Path
	x.head = t.Ready.Method == "HEAD"
	x.request = httpwire.AppendRequestLine(nil, t.Ready.Method, t.Ready.Path)
	x.request = httpwire.AppendField(x.request, "Host", []byte(hostField(t)))
	x.request = httpwire.AppendField(x.request, "User-Agent", []byte(userAgent))
	x.request = httpwire.AppendField(x.request, "Connection", []byte("close"))
	x.request = append(x.request, "\r\n"...)
	w.roundTrip(x)
	if x.err != nil {
		return advised(line+": ", x.err)
	}
	if s := x.reply.status; s < 200 || s > 299 {
		return fmt.Errorf("%s answered %s, and ready means 2xx", line, strconv.Itoa(s))
	}
	return nil
}

// advised says what to do about an error, where that is known.
func advised(what string, err error) error {
	if hint := advice(err); hint != "" {
		return fmt.Errorf("%s%w: %s", what, err, hint)
	}
	return fmt.Errorf("%s%w", what, err)
}

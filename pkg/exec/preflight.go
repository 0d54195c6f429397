package exec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/httpwire"
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

// Preflight resolves the target, checks that it may be loaded, and asks whether
// it is ready. It returns the address that every connection of the run goes to:
// what was checked is what is dialled.
func Preflight(ctx context.Context, t *spec.Target, o PreflightOptions) (netip.AddrPort, error) {
	if o.Limit <= 0 {
		o.Limit = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()

	addrs, err := resolve(ctx, t.Host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %s has no address: %w", ErrUnreachable, t.Host, err)
	}
	for _, a := range addrs {
		if err := allowed(t.Host, a, o.Allow); err != nil {
			return netip.AddrPort{}, err
		}
	}
	var last error
	for i, a := range addrs {
		to := netip.AddrPortFrom(a, uint16(t.Port))
		if last = readyWithin(ctx, o.Limit/time.Duration(len(addrs)-i+1), len(addrs)-i, t, to); last == nil {
			return to, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w: %w", ErrUnreachable, last)
}

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i, a := range found {
		found[i] = a.Unmap()
	}
	return found, nil
}

// allowed decides by the address that will be dialled, not by the name alone:
// link-local addresses, where clouds keep their metadata, never are.
func allowed(host string, a netip.Addr, patterns []string) error {
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsMulticast() || a.IsUnspecified() {
		return fmt.Errorf("%w: %s is %s, a link-local, multicast or unspecified address: load never goes there", ErrRefused, host, a)
	}
	if len(patterns) == 0 {
		return nil
	}
	for _, p := range patterns {
		if prefix, err := netip.ParsePrefix(p); err == nil && prefix.Contains(a) {
			return nil
		}
		if p == a.String() {
			return nil
		}
		if ok, err := path.Match(strings.ToLower(p), strings.ToLower(host)); err == nil && ok {
			return nil
		}
	}
	return fmt.Errorf("%w: %s (%s) matches none of the allowed hosts %s: add --allow-host %s if it is yours",
		ErrRefused, host, a, strings.Join(patterns, ", "), host)
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

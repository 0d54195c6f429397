package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// ready makes the spec's ready request, or only connects where there is none.
func ready(ctx context.Context, t *spec.Target, to netip.AddrPort) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if t.Ready == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	line := t.Ready.Method + " " + t.Ready.Path
	req := httpwire.AppendRequestLine(nil, t.Ready.Method, t.Ready.Path)
	req = httpwire.AppendField(req, "Host", []byte(hostField(t)))
	req = httpwire.AppendField(req, "User-Agent", []byte(userAgent))
	req = httpwire.AppendField(req, "Connection", []byte("close"))
	req = append(req, "\r\n"...)
	if _, err := conn.Write(req); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	var p httpwire.Parser
	p.Reset(t.Ready.Method == "HEAD", false)
	buf := make([]byte, 16<<10)
	for done := false; !done; {
		n, err := conn.Read(buf)
		if n > 0 {
			if _, done, err = p.Feed(buf[:n]); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: no complete answer: %w", line, err)
		}
		if done, err = p.EOF(); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	if s := p.Status(); s < 200 || s > 299 {
		return fmt.Errorf("%s answered %s, and ready means 2xx", line, strconv.Itoa(s))
	}
	return nil
}

package exec

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/internal/reach"
	"tollgate/pkg/spec"
)

// Addresses are where a run's connections go: for each target the addresses
// that its host has and that may be loaded. Connections are spread over them.
type Addresses struct {
	targets []*spec.Target
	allow   []string
	lists   []atomic.Pointer[[]netip.AddrPort]
	fixed   bool             // they are not looked up again
	silent  []netip.AddrPort // took no connection before the run: left out of it
	// stale counts the look-ups that failed, or named an address that may not
	// be loaded: the run goes on with the addresses before.
	stale atomic.Int64
}

// FixedAddresses are one address for each target, in the order of the spec:
// what a caller brings that has resolved them itself.
func FixedAddresses(s *spec.Spec, to ...netip.AddrPort) *Addresses {
	a := newAddresses(s, nil)
	a.fixed = true
	for i := range a.lists {
		list := []netip.AddrPort{to[min(i, len(to)-1)]}
		a.lists[i].Store(&list)
	}
	return a
}

func newAddresses(s *spec.Spec, allow []string) *Addresses {
	a := &Addresses{targets: []*spec.Target{&s.Target}, allow: allow}
	a.targets = append(a.targets, s.Others...)
	a.lists = make([]atomic.Pointer[[]netip.AddrPort], len(a.targets))
	return a
}

// Of returns the present addresses of a target: 0 is the spec's own, n the
// nth of its others. Not to be changed.
func (a *Addresses) Of(target int) []netip.AddrPort { return *a.lists[target].Load() }

// String lists the addresses, as in "127.0.0.1:8000".
func (a *Addresses) String() string {
	var all []string
	for i := range a.lists {
		for _, to := range a.Of(i) {
			if text := to.String(); !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return strings.Join(all, ", ")
}

// keep looks the hosts up again at the interval of the spec, until the context
// ends. Names are never looked up on a loop.
func (a *Addresses) keep(ctx context.Context, every time.Duration) {
	if a.fixed {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i, t := range a.targets {
			if _, err := netip.ParseAddr(t.Host); err == nil {
				continue // a number stays what it is
			}
			a.lookUp(ctx, i, every)
		}
	}
}

// lookUp takes a target's addresses anew, unless that fails or names one that
// may not be loaded.
func (a *Addresses) lookUp(ctx context.Context, i int, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := a.targets[i]
	found, err := reach.Resolve(ctx, t.Host)
	if err != nil || len(found) == 0 {
		a.stale.Add(1)
		return
	}
	list := make([]netip.AddrPort, 0, len(found))
	for _, addr := range found {
		if allowed(t.Host, addr, a.allow) != nil {
			a.stale.Add(1)
			return
		}
		if to := netip.AddrPortFrom(addr, uint16(t.Port)); !slices.Contains(a.silent, to) {
			list = append(list, to)
		}
	}
	if len(list) == 0 {
		a.stale.Add(1)
		return
	}
	sortAddresses(list)
	if !slices.Equal(list, a.Of(i)) {
		a.lists[i].Store(&list)
	}
}

// sortAddresses makes equal sets equal lists: resolvers shuffle.
func sortAddresses(list []netip.AddrPort) {
	slices.SortFunc(list, netip.AddrPort.Compare)
}

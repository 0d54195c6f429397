package measure

import "math"

// Live is what one loop recorded, by completion, since it was last asked.
type Live struct {
	Requests  uint64 // completed, however they ended
	Failures  uint64
	NotIssued uint64
	Refused   uint64 // of the failures: those that got no connection
	Own       uint64 // of the failures: those that this machine is to blame for
	Response  Hist   // of the successes, coarse; Inf counts the failures and the never sent
	Lag       Hist   // how late the generator itself was, coarse
}

// Merge adds what another loop recorded.
func (l *Live) Merge(o *Live) {
	l.Requests += o.Requests
	l.Failures += o.Failures
	l.NotIssued += o.NotIssued
	l.Refused += o.Refused
	l.Own += o.Own
	l.Response.Merge(&o.Response)
	l.Lag.Merge(&o.Lag)
}

// liveView gathers for Live.
type liveView struct {
	cell
	sum      uint64
	min, max int64
	refused  uint64
	own      uint64

	lag    cell
	lagMax int64
}

func (v *liveView) late(ns, us int64, pool *pagePool) {
	v.lag.add(coarseIndex(min(us, highest)), pool)
	v.lagMax = max(v.lagMax, ns)
}

func (v *liveView) request(o Outcome, ns int64, index int, pool *pagePool) {
	v.requests++
	switch o {
	case OK:
		v.add(index, pool)
		v.sum += uint64(ns)
		v.min = min(v.min, ns)
		v.max = max(v.max, ns)
	case Aborted:
	default:
		v.failures++
		switch o {
		case ConnectFail:
			v.refused++
		case Generator:
			v.own++
		}
	}
}

// drain returns what was gathered and starts anew.
func (v *liveView) drain(pool *pagePool) Live {
	p := v.point(0, nil)
	out := Live{Requests: p.requests, Failures: p.failures, NotIssued: p.notIssued, Refused: v.refused, Own: v.own}
	out.Response.Inf = p.failures + p.notIssued
	if p.filled > 0 {
		out.Response.Packed, out.Response.Coarse, out.Response.Count = p.packed, true, total(p.packed)
		out.Response.Sum, out.Response.Min, out.Response.Max = v.sum, v.min, v.max
	}
	if lag := v.lag.point(0, nil); lag.filled > 0 {
		out.Lag = Hist{Packed: lag.packed, Coarse: true, Count: total(lag.packed), Max: v.lagMax}
	}
	v.lag.reset(0, pool)
	v.lagMax = 0
	v.reset(0, pool)
	v.sum, v.min, v.max, v.refused, v.own = 0, math.MaxInt64, 0, 0, 0
	return out
}

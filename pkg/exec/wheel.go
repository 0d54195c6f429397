package exec

import "math/bits"

// wheel is a hierarchical timer wheel (Varghese and Lauck, 1987) with one timer
// per user and no allocation: setting, clearing and firing are O(1). Instants
// are kept exactly; the tick only sorts them coarsely, so a timer fires at the
// first look at or after its instant, never before.
//
// Not for timers that must fire in order within one tick: they may swap.
type wheel struct {
	nodes  []node
	heads  [wheelLevels * wheelSlots]int32 // index+1 of the first node, 0: empty
	filled [wheelLevels]uint64             // one bit per slot that is not empty
	tick   int64                           // all ticks before it have fired
}

type node struct {
	at         int64 // ns since the run's start
	next, prev int32 // index+1, 0: none
	slot       int32 // index into heads, plus 1; 0: not set
}

const (
	wheelTickShift = 16 // 65.5 us
	wheelBits      = 6
	wheelSlots     = 1 << wheelBits
	wheelLevels    = 7 // 65.5 us · 64^7: longer than any run
	never          = int64(1) << 62
)

// grow makes room for timers 0 to n-1.
func (w *wheel) grow(n int) {
	for len(w.nodes) < n {
		w.nodes = append(w.nodes, node{})
	}
}

// set arms timer i for the instant at, replacing what was set.
func (w *wheel) set(i int32, at int64) {
	w.clear(i)
	w.nodes[i].at = at
	w.insert(i)
}

// atMost makes sure that timer i fires at the instant at, or before it: an
// earlier one that is set stays. It spares the moves of a timer that is set
// again and again and hardly ever fires.
func (w *wheel) atMost(i int32, at int64) {
	if n := &w.nodes[i]; n.slot == 0 || n.at > at {
		w.set(i, at)
	}
}

func (w *wheel) insert(i int32) {
	n := &w.nodes[i]
	tick := max(n.at>>wheelTickShift, w.tick)
	level := 0
	if diff := uint64(tick ^ w.tick); diff >= wheelSlots {
		level = min((63-bits.LeadingZeros64(diff))/wheelBits, wheelLevels-1)
	}
	pos := (tick >> (level * wheelBits)) & (wheelSlots - 1)
	slot := int32(level*wheelSlots) + int32(pos)
	n.slot = slot + 1
	n.prev = 0
	n.next = w.heads[slot]
	if n.next != 0 {
		w.nodes[n.next-1].prev = i + 1
	}
	w.heads[slot] = i + 1
	w.filled[level] |= 1 << pos
}

// clear disarms timer i.
func (w *wheel) clear(i int32) {
	n := &w.nodes[i]
	if n.slot == 0 {
		return
	}
	slot := n.slot - 1
	if n.prev != 0 {
		w.nodes[n.prev-1].next = n.next
	} else {
		w.heads[slot] = n.next
		if n.next == 0 {
			w.filled[slot/wheelSlots] &^= 1 << (slot % wheelSlots)
		}
	}
	if n.next != 0 {
		w.nodes[n.next-1].prev = n.prev
	}
	n.slot, n.next, n.prev = 0, 0, 0
}

// pop returns a timer whose instant has come, disarmed; false when there is none.
func (w *wheel) pop(now int64) (int32, bool) {
	nowTick := now >> wheelTickShift
	for {
		level, pos, tick := w.first()
		if level < 0 {
			w.tick = max(w.tick, nowTick)
			return 0, false
		}
		if tick > nowTick {
			w.tick = max(w.tick, nowTick)
			return 0, false
		}
		w.tick = max(w.tick, tick)
		slot := level*wheelSlots + pos
		if level > 0 {
			w.cascade(level, pos)
			continue
		}
		for j := w.heads[slot]; j != 0; j = w.nodes[j-1].next {
			if w.nodes[j-1].at <= now {
				w.clear(j - 1)
				return j - 1, true
			}
		}
		return 0, false
	}
}

// cascade spreads a slot of an upper level over the levels below it.
func (w *wheel) cascade(level, pos int) {
	slot := level*wheelSlots + pos
	j := w.heads[slot]
	w.heads[slot] = 0
	w.filled[level] &^= 1 << pos
	for j != 0 {
		n := &w.nodes[j-1]
		next := n.next
		n.slot, n.next, n.prev = 0, 0, 0
		w.insert(j - 1)
		j = next
	}
}

// first finds the earliest slot that is not empty and the tick it begins at;
// level is -1 when nothing is set.
func (w *wheel) first() (level, pos int, tick int64) {
	for level := range wheelLevels {
		if w.filled[level] == 0 {
			continue
		}
		shift := level * wheelBits
		here := int(w.tick>>shift) & (wheelSlots - 1)
		ahead := bits.RotateLeft64(w.filled[level], -here)
		pos := (here + bits.TrailingZeros64(ahead)) & (wheelSlots - 1)
		base := w.tick >> shift &^ (wheelSlots - 1)
		at := base + int64(pos)
		if pos < here {
			at += wheelSlots
		}
		return level, pos, at << shift
	}
	return -1, 0, 0
}

// next returns the instant at which pop may have something: exact within the
// current tick's slot, else the beginning of a later slot.
func (w *wheel) next() int64 {
	level, pos, tick := w.first()
	if level < 0 {
		return never
	}
	if level > 0 {
		return tick << wheelTickShift
	}
	at := never
	for j := w.heads[pos]; j != 0; j = w.nodes[j-1].next {
		at = min(at, w.nodes[j-1].at)
	}
	return at
}

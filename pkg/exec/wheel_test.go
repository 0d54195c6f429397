package exec

import (
	"testing"

	"pgregory.net/rapid"
)

// The wheel against the plainest model there is: a map of instants.
func TestWheelFiresEachTimerOnceAndNeverEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const users = 40
		var w wheel
		w.grow(users)
		model := map[int32]int64{}
		now := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			i := int32(rapid.IntRange(0, users-1).Draw(t, "user"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				shift := rapid.IntRange(0, 45).Draw(t, "magnitude")
				at := now + rapid.Int64Range(-1000, 1<<shift).Draw(t, "in")
				at = max(at, 0)
				w.set(i, at)
				model[i] = at
			case 2:
				w.clear(i)
				delete(model, i)
			case 3:
				next := w.next()
				for _, at := range model {
					if max(at, now) < next && at>>wheelTickShift<<wheelTickShift < next && at < next {
						t.Fatalf("next says %d, but a timer is due at %d (now %d)", next, at, now)
					}
				}
				now += rapid.Int64Range(0, 1<<rapid.IntRange(0, 42).Draw(t, "step magnitude")).Draw(t, "advance")
				for {
					j, ok := w.pop(now)
					if !ok {
						break
					}
					at, armed := model[j]
					if !armed || at > now {
						t.Fatalf("timer %d fired at %d, armed %v for %d", j, now, armed, at)
					}
					delete(model, j)
				}
				for j, at := range model {
					if at <= now {
						t.Fatalf("timer %d for %d did not fire at %d", j, at, now)
					}
				}
			}
		}
	})
}

func BenchmarkWheelSetFire(b *testing.B) {
	var w wheel
	w.grow(10000)
	for i := range int32(10000) {
		w.set(i, int64(i)*500_000)
	}
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now = max(now, w.next())
		if i, ok := w.pop(now); ok {
			w.set(i, now+5_000_000_000)
		}
	}
}

package exec

import (
	"testing"

	"pgregory.net/rapid"

	"tollgate/pkg/spec"
)

// TestRosterLendsNoConnectionTwice plays users that come, ask, end, give up and
// go, against a model: who holds what, and who waits in which order.
func TestRosterLendsNoConnectionTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := spec.Connection{
			Per:  rapid.SampledFrom([]spec.Per{spec.PerUser, spec.PerRequest, spec.Pool}).Draw(t, "per"),
			Size: rapid.IntRange(1, 4).Draw(t, "size"),
		}
		targets := rapid.IntRange(1, 3).Draw(t, "targets")
		const users = 8
		most := rapid.IntRange(0, 3).Draw(t, "most")
		r := newRoster(policy, targets, users, most, 0, 1)

		type loan struct {
			number int32
			target int
		}
		underWay := map[int32]loan{}                 // by user
		waits := make([][]int32, targets)            // by target, in order
		wants := map[int32]int{}                     // who waits: the target
		kept := map[[2]int32]int32{}                 // per user: its connection to a target
		holder := func(number int32) (int32, bool) { // who has it under way
			for u, l := range underWay {
				if l.number == number {
					return u, true
				}
			}
			return 0, false
		}
		lent := func(user, number int32, target int) {
			if other, taken := holder(number); taken {
				t.Fatalf("connection %d is lent to %d and to %d", number, other, user)
			}
			if got := r.lanes[number]; got != (lane{user, int32(target)}) {
				t.Fatalf("connection %d of user %d to target %d is noted as %+v", number, user, target, got)
			}
			underWay[user] = loan{number, target}
		}
		waiting := func(user int32) bool {
			for _, line := range waits {
				for _, u := range line {
					if u == user {
						return true
					}
				}
			}
			return false
		}
		busy := func(user int32) bool { _, ok := underWay[user]; return ok || waiting(user) }

		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			user := int32(rapid.IntRange(0, users-1).Draw(t, "user"))
			target := rapid.IntRange(0, targets-1).Draw(t, "target")
			switch rapid.SampledFrom([]string{"take", "end", "give up", "leave"}).Draw(t, "op") {
			case "take":
				if busy(user) {
					continue
				}
				number, ok := r.take(user, target)
				if !ok {
					n, size, line := 0, policy.Size, target
					if policy.Per == spec.PerRequest {
						size, line = most, 0
					}
					for _, l := range underWay {
						if l.target == target || policy.Per == spec.PerRequest {
							n++
						}
					}
					if policy.Per == spec.PerUser || size == 0 || n < size {
						t.Fatalf("user %d waits, and %d of %d connections are lent", user, n, size)
					}
					waits[line] = append(waits[line], user)
					wants[user] = target
					continue
				}
				lent(user, number, target)
				key := [2]int32{user, int32(target)}
				if was, ok := kept[key]; ok && was != number && policy.Per == spec.PerUser {
					t.Fatalf("user %d had connection %d to target %d, and got %d", user, was, target, number)
				}
				kept[key] = number
			case "end":
				l, ok := underWay[user]
				if !ok {
					continue
				}
				delete(underWay, user)
				next, ok := r.giveBack(l.number)
				of := l.target
				if policy.Per == spec.PerRequest {
					of = 0
				}
				if line := waits[of]; len(line) > 0 {
					if !ok || next != line[0] {
						t.Fatalf("%d waits longest, and %d (%v) was served", line[0], next, ok)
					}
					waits[of] = line[1:]
					lent(next, l.number, wants[next])
				} else if ok {
					t.Fatalf("user %d was served without having waited", next)
				}
			case "give up":
				in := -1
				for line := range waits {
					for k, u := range waits[line] {
						if u == user {
							target, in = line, k
						}
					}
				}
				if r.stepOut(user) != (in >= 0) {
					t.Fatalf("user %d steps out of a line it stood in: %v", user, in >= 0)
				}
				if in >= 0 {
					waits[target] = append(waits[target][:in:in], waits[target][in+1:]...)
				}
			case "leave":
				if busy(user) {
					continue
				}
				r.leave(user, func(number int32) {
					if other, taken := holder(number); taken {
						t.Fatalf("user %d leaves with connection %d of user %d", user, number, other)
					}
				})
				for k := range targets {
					delete(kept, [2]int32{user, int32(k)})
				}
			}
			n := 0
			r.waiting(func(int32) { n++ })
			want := 0
			for _, line := range waits {
				want += len(line)
			}
			if n != want {
				t.Fatalf("%d wait, and the roster knows %d", want, n)
			}
		}
	})
}

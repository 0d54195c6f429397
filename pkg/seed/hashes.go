package seed

import (
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// hashes computes password hashes: one for each distinct password and cost, or
// a new one each time. Who asks for one that is being computed waits for it,
// and workers that make different rows compute different ones at once.
type hashes struct {
	salted bool
	mu     sync.Mutex
	made   map[hashKey]func() (string, error)
}

type hashKey struct {
	password string
	cost     int
}

func newHashes(salted bool) *hashes {
	return &hashes{salted: salted, made: map[hashKey]func() (string, error){}}
}

func (h *hashes) of(password string, cost int) (string, error) {
	if h.salted {
		return hashOf(password, cost)
	}
	return h.shared(password, cost)()
}

// shared returns what gives the one hash of a password, computed by the first
// who calls it.
func (h *hashes) shared(password string, cost int) func() (string, error) {
	key := hashKey{password, cost}
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.made[key]
	if !ok {
		f = sync.OnceValues(func() (string, error) { return hashOf(password, cost) })
		const most = 100_000 // bounds the memory where each row has a password of its own
		if len(h.made) < most {
			h.made[key] = f
		}
	}
	return f
}

// ahead starts to compute a hash that rows will ask for.
func (h *hashes) ahead(password string, cost int) {
	if !h.salted {
		go func() { _, _ = h.shared(password, cost)() }() // who asks for it is told of an error
	}
}

func hashOf(password string, cost int) (string, error) {
	b, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	return string(b), err
}

// unhashed stands for a hash where only its form matters.
const unhashed = "$2a$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

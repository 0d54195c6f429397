package report

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// masked stands where a secret was.
const masked = "***"

// minSecret is the length in bytes from which a secret is masked. A shorter one
// is guessed at once, and masking it would tear holes into every number.
const minSecret = 4

// mask hides secrets in text, in each form in which they travel.
type mask struct {
	forms    []string // longest first
	replacer *strings.Replacer
}

func newMask(secrets []string) *mask {
	m := &mask{}
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range forms(s) {
			m.forms = append(m.forms, form, clean(form))
		}
	}
	m.forms = slices.DeleteFunc(m.forms, func(form string) bool { return len(form) < minSecret })
	slices.SortFunc(m.forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m.forms = slices.Compact(m.forms)
	var pairs []string
	for _, form := range m.forms {
		pairs = append(pairs, form, masked)
	}
	m.replacer = strings.NewReplacer(pairs...)
	return m
}

// text returns s clean and without secrets. It looks twice, because dropping a
// control character may join the halves of a secret.
func (m *mask) text(s string) string {
	return m.tail(m.replacer.Replace(clean(m.replacer.Replace(s))))
}

// tail masks the beginning of a secret at the end of a message that was cut
// for its length.
func (m *mask) tail(s string) string {
	if len(s) < longMessage || utf8.RuneCountInString(s) < longMessage {
		return s
	}
	for _, form := range m.forms {
		for n := len(form) - 1; n >= minSecret; n-- {
			if strings.HasSuffix(s, form[:n]) {
				return s[:len(s)-n] + masked
			}
		}
	}
	return s
}

// longMessage is below the length in characters at which measure cuts messages,
// by what masking inside one may have taken away.
const longMessage = 500

// forms returns the ways in which a secret is written.
func forms(secret string) []string {
	out := []string{secret}
	for _, escaped := range []string{url.QueryEscape(secret), url.PathEscape(secret)} {
		out = append(out, escaped, lowerHex(escaped))
	}
	quoted, _ := json.Marshal(secret) // with < as \u003c
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(secret) // a string always encodes
	for _, q := range []string{string(quoted), strings.TrimSuffix(b.String(), "\n"), strconv.Quote(secret)} {
		out = append(out, q[1:len(q)-1])
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		out = append(out, encoding.EncodeToString([]byte(secret)))
		for _, part := range inBase64(encoding, secret) {
			out = append(out, part)
		}
	}
	return out
}

// lowerHex writes %2F as %2f.
func lowerHex(escaped string) string {
	b := []byte(escaped)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(escaped[i+1:i+3]))
		}
	}
	return string(b)
}

// inBase64 returns what the secret looks like inside the base64 of a longer
// text, such as user:secret in a Basic Authorization header. Base64 writes three
// bytes as four characters, so there are three cases, by how many bytes before
// the secret share its first group; the characters that hold bits of its
// neighbours are left out.
func inBase64(encoding *base64.Encoding, secret string) []string {
	var out []string
	for before := range 3 {
		text := encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
		text = text[(before*8+5)/6:]
		if (before+len(secret))%3 != 0 {
			text = text[:len(text)-1]
		}
		out = append(out, text)
	}
	return out
}

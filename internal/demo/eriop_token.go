package demo

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// A purpose is what a token is good for.
type purpose string

const (
	access  purpose = "access"
	refresh purpose = "refresh"
	second  purpose = "mfa" // the first of two factors has been shown
)

var lifetimes = map[purpose]time.Duration{access: 30 * time.Minute, refresh: 7 * 24 * time.Hour, second: 5 * time.Minute}

// claims are what a token says about who has it.
type claims struct {
	Subject  id      `json:"sub"`
	Expires  int64   `json:"exp"` // seconds since 1970
	Type     purpose `json:"type"`
	UserID   id      `json:"user_id"`
	Email    string  `json:"email"`
	Role     string  `json:"role"`
	AgencyID *id     `json:"agency_id"`
}

// tokens are JSON Web Tokens (RFC 7519) signed by HS256, under a key that is
// drawn at the start and told to nobody.
type tokens struct{ key []byte }

func newTokens() tokens {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return tokens{key}
}

// jwtHeader is {"alg":"HS256","typ":"JWT"}. No other is accepted, so no token
// chooses how it is checked.
const jwtHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

func (t tokens) issue(who account, p purpose, now time.Time) string {
	body := jwtHeader + "." + base64.RawURLEncoding.EncodeToString(jsonText(claims{
		who.ID, now.Add(lifetimes[p]).Unix(), p, who.ID, who.Email, who.Role, who.AgencyID,
	}))
	return body + "." + t.signature(body)
}

func (t tokens) signature(body string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

var (
	errNoToken  = errors.New("Not authenticated")
	errBadToken = errors.New("Could not validate credentials")
	errExpired  = errors.New("Token has expired")
)

// read checks an Authorization header and returns who it is of.
func (t tokens) read(header string, p purpose, now time.Time) (claims, error) {
	var c claims
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return c, errNoToken
	}
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || !hmac.Equal([]byte(t.signature(token[:cut])), []byte(token[cut+1:])) {
		return c, errBadToken
	}
	payload, ours := strings.CutPrefix(token[:cut], jwtHeader+".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if !ours || err != nil || json.Unmarshal(text, &c) != nil || c.Type != p {
		return c, errBadToken
	}
	if now.Unix() >= c.Expires {
		return c, errExpired
	}
	return c, nil
}

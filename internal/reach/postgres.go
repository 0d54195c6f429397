package reach

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// parameters are what may stand in a connection string. Those that name a file
// with credentials (passfile, sslcert, sslkey) or with another connection
// string (service, servicefile) are not among them: a spec that somebody else
// wrote would connect with what it never declared. sslrootcert names whom to
// trust, and that is no secret.
var parameters = []string{
	"host", "port", "dbname", "user", "password",
	"sslmode", "ssl", "sslrootcert", "sslnegotiation", "sslsni", "sslpassword", "sslcertmode",
	"channel_binding", "require_auth", "target_session_attrs", "min_protocol_version", "max_protocol_version", "connect_timeout",
	"application_name", "fallback_application_name", "client_encoding", "options", "timezone", "TimeZone", "search_path", "datestyle", "DateStyle",
	"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "keepalives", "keepalives_idle", "gssencmode",
}

// Reasons why a connection string cannot be used. Their texts hold no part of
// it: nobody can tell what in a malformed one is a password.
var (
	errNoString   = errors.New("is not a connection string")
	errNoHost     = errors.New("names no host")
	errNoDatabase = errors.New("names no database")
	errNoUser     = errors.New("names no user")
	errForeign    = errors.New("has a parameter that it may not have, such as passfile, service, sslcert or sslkey, which name files with credentials")
)

// Postgres reads the connection string of a PostgreSQL database, and nothing
// else: no variable of the environment (PGPASSWORD, PGSERVICE and the like), no
// password file, service file or certificate of the user who runs this. Host,
// user and database must stand in it. Connections of the configuration go only
// where h allows; others end in a *Refusal. The text of an error continues a
// sentence whose subject is the string, and holds no part of it.
func (h Hosts) Postgres(dsn string) (*pgconn.Config, error) {
	config, err := parse(dsn, parameters)
	switch {
	case err != nil && strings.Contains(err.Error(), "ConnStringAllowedKeys"):
		return nil, errForeign
	case err != nil:
		return nil, errNoString
	}
	host, database := namesHostAndDatabase(dsn)
	switch {
	case !host:
		return nil, errNoHost
	case !database || config.Database == "":
		return nil, errNoDatabase
	case !names(dsn, "user"):
		return nil, errNoUser
	}
	config.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		found, err := h.Resolve(ctx, host)
		out := make([]string, len(found))
		for i, a := range found {
			out[i] = a.String()
		}
		return out, err
	}
	limit := config.ConnectTimeout
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if network == "unix" {
			if err := h.socket(filepath.Dir(address)); err != nil {
				return nil, err
			}
		}
		if limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		return dial(ctx, network, address)
	}
	return config, nil
}

// Places returns the refusal of a host that a configuration names, nil if there
// is none. It asks the resolver and sends nothing to the hosts; those that have
// no address are not refused.
func (h Hosts) Places(ctx context.Context, config *pgconn.Config) error {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		var err error
		if network, _ := pgconn.NetworkAddress(host, 0); network == "unix" {
			err = h.socket(filepath.Clean(host))
		} else {
			_, err = h.Resolve(ctx, host)
		}
		if r := Refused(err); r != nil {
			return r
		}
	}
	return nil
}

// names reports whether a connection string of these parameters has one of them.
func names(dsn, key string) bool {
	var others []string
	for _, p := range parameters {
		if p != key {
			others = append(others, p)
		}
	}
	_, err := parse(dsn, others)
	return err != nil
}

// namesHostAndDatabase reports whether a connection string that parses has them.
func namesHostAndDatabase(conn string) (host, database bool) {
	if u, err := url.Parse(conn); err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") {
		q := u.Query()
		return u.Host != "" || q.Get("host") != "", strings.Trim(u.Path, "/") != "" || q.Get("dbname") != "" || q.Get("database") != ""
	}
	has := func(names string) bool {
		return regexp.MustCompile(`(?:^|\s)(?:` + names + `)\s*=\s*[^\s]`).MatchString(conn)
	}
	return has("host"), has("dbname|database")
}

// parsing is held while the environment is another one.
var parsing sync.Mutex

// parse has pgconn read a connection string in an empty environment: with the
// variables of libpq, and those by which the folder of the user is found, unset
// for these microseconds. pgconn offers no other way: a service that PGSERVICE
// names cannot be outdone by the string.
func parse(dsn string, allowed []string) (*pgconn.Config, error) {
	parsing.Lock()
	defer parsing.Unlock()
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "PG") || name == "HOME" || name == "USERPROFILE" || name == "APPDATA" {
			os.Unsetenv(name)
			defer os.Setenv(name, value)
		}
	}
	return pgconn.ParseConfigWithOptions(dsn, pgconn.ParseConfigOptions{ConnStringAllowedKeys: allowed})
}

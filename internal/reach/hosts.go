// Package reach decides where a run may connect. A spec may come from a
// stranger: whatever it names, the address that is dialled is checked, and a
// connection to a database takes its place and credentials from the connection
// string alone.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Hosts are patterns of hosts that may be connected to ("*.test.example",
// "10.0.0.5", "10.0.0.0/8", "/run/postgresql"). Where there are any, they alone
// decide. They stand outside the spec, so that a spec cannot widen them.
type Hosts []string

// Refusal is the error of a host that may not be connected to. Nothing was sent
// to it.
type Refusal struct{ Reason string }

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Resolve returns the addresses of a host. It is the resolver's error, or a
// *Refusal if one of them may not be connected to.
func (h Hosts) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if err := h.Check(host, a); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Resolve returns the addresses of a host, whatever they are.
func Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
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

// Check returns a *Refusal unless the address of a host may be connected to. It
// decides by the address that will be dialled, not by the name alone.
func (h Hosts) Check(host string, a netip.Addr) error {
	if err := never(host, a); err != nil || len(h) == 0 {
		return err
	}
	for _, p := range h {
		if prefix, err := netip.ParsePrefix(p); err == nil && prefix.Contains(a.Unmap()) {
			return nil
		}
		if p == a.Unmap().String() {
			return nil
		}
		if ok, err := path.Match(strings.ToLower(p), strings.ToLower(host)); err == nil && ok {
			return nil
		}
	}
	return refuse("%s (%s) matches none of the allowed hosts %s: add --allow-host %s if it is yours", host, a, strings.Join(h, ", "), host)
}

// socket is Check for a socket in the file system.
func (h Hosts) socket(name string) error {
	if len(h) == 0 || slices.Contains(h, name) {
		return nil
	}
	return refuse("the socket in %s is none of the allowed hosts %s: add --allow-host %s if it is yours", name, strings.Join(h, ", "), name)
}

// never refuses addresses that nothing is sent to, whatever is allowed:
// link-local ones, where clouds keep their metadata, and their like.
func never(host string, a netip.Addr) error {
	for _, a := range append(inner(a), a.Unmap()) {
		if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsMulticast() || a.IsUnspecified() {
			return refuse("%s is %s, a link-local, multicast or unspecified address: load never goes there, nor anything else", host, a)
		}
		if slices.Contains(metadata, a.WithZone("")) {
			return refuse("%s is %s, where a cloud keeps its metadata: load never goes there, nor anything else", host, a)
		}
	}
	return nil
}

// metadata are the addresses of clouds' own services that are not link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("192.0.0.192"),
}

// Prefixes under which an IPv4 address is written as one of IPv6, and where in
// it: the well-known and the local ones of NAT64 (RFC 6052, 8215), 6to4 (RFC
// 3056), and addresses that are no more than that.
var carriers = []struct {
	prefix netip.Prefix
	at     int // byte
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, {netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2}, {netip.MustParsePrefix("::/96"), 12},
}

// inner returns the IPv4 address that one of IPv6 carries, if it does.
func inner(a netip.Addr) []netip.Addr {
	if !a.Is6() || a.Is4In6() || a.IsLoopback() {
		return nil
	}
	b := a.As16()
	for _, c := range carriers {
		if c.prefix.Contains(a.WithZone("")) {
			return []netip.Addr{netip.AddrFrom4([4]byte(b[c.at : c.at+4]))}
		}
	}
	return nil
}

// Dial connects to a host and port by TCP. It is a *Refusal, and nothing is
// sent, if an address of the host may not be connected to.
func (h Hosts) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	found, err := h.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	for _, a := range found {
		conn, err := dial(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// dial connects to an address. What is dialled is looked at once more, as the
// system is about to be asked for it.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil { // a socket in the file system
			return nil
		}
		return never(to.Addr().String(), to.Addr())
	}}
	return d.DialContext(ctx, network, address)
}

// Refused returns the refusal in err, nil if there is none.
func Refused(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}

package reach

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNothingIsEverSentToMetadata(t *testing.T) {
	for _, a := range []string{
		"169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%lo", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "::ffff:0.0.0.0",
		"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "::ffff:100.100.100.200",
		"64:ff9b::a9fe:a9fe", "64:ff9b::6464:64c8", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::a9fe:a9fe", "64:ff9b::", "fd00:ec2::254%lo",
	} {
		for _, h := range []Hosts{nil, {"*"}, {a}, {"0.0.0.0/0", "::/0"}} {
			addr := netip.MustParseAddr(a)
			if err := h.Check(a, addr); Refused(err) == nil {
				t.Errorf("%s with %v: %v", a, h, err)
			}
			if _, err := h.Resolve(t.Context(), a); Refused(err) == nil {
				t.Errorf("%s is resolved with %v: %v", a, h, err)
			}
			if conn, err := h.Dial(t.Context(), "tcp", net.JoinHostPort(a, "80")); Refused(err) == nil {
				t.Errorf("%s is dialled with %v: %v %v", a, h, conn, err)
			}
			if conn, err := dial(t.Context(), "tcp", net.JoinHostPort(a, "80")); Refused(err) == nil {
				t.Errorf("%s is dialled: %v %v", a, conn, err)
			}
		}
	}
}

func TestAllowedHostsAloneDecide(t *testing.T) {
	for _, c := range []struct {
		host, addr string
		hosts      Hosts
		ok         bool
	}{
		{"db.test", "10.1.2.3", nil, true},
		{"db.test", "10.1.2.3", Hosts{"10.0.0.0/8"}, true},
		{"db.test", "::ffff:10.1.2.3", Hosts{"10.0.0.0/8"}, true},
		{"db.test", "10.1.2.3", Hosts{"*.test"}, true},
		{"DB.test", "10.1.2.3", Hosts{"db.TEST"}, true},
		{"db.test", "10.1.2.3", Hosts{"10.1.2.3"}, true},
		{"db.test", "11.1.2.3", Hosts{"10.0.0.0/8"}, false},
		{"db.test.evil.example", "10.1.2.3", Hosts{"*.test"}, false},
		{"10.0.0.5.evil.example", "11.1.2.3", Hosts{"10.0.0.5", "10.0.0.0/8"}, false},
		{"db.test", "10.1.2.3", Hosts{"[", ""}, false},
		{"", "10.1.2.3", Hosts{"?*"}, false},
	} {
		err := c.hosts.Check(c.host, netip.MustParseAddr(c.addr))
		if (err == nil) != c.ok || err != nil && Refused(err) == nil {
			t.Errorf("%s at %s with %q: %v", c.host, c.addr, c.hosts, err)
		}
	}
}

// However an IPv4 address is carried in one of IPv6, the same is refused.
func TestCarriedAddressIsRefusedLikeItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
		if rapid.Bool().Draw(t, "link-local") {
			b := plain.As4()
			plain = netip.AddrFrom4([4]byte{169, 254, b[2], b[3]})
		}
		for _, c := range carriers {
			b := c.prefix.Addr().As16()
			v4 := plain.As4()
			copy(b[c.at:], v4[:])
			carried := netip.AddrFrom16(b)
			if carried.IsLoopback() {
				continue
			}
			if (never("", plain) == nil) != (never("", carried) == nil) {
				t.Fatalf("%s: %v, and %s: %v", plain, never("", plain), carried, never("", carried))
			}
		}
	})
}

func TestDialGoesWhereItIsAllowed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := Hosts{"127.0.0.0/8"}.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err = (Hosts{"10.0.0.0/8"}).Dial(t.Context(), "tcp", l.Addr().String()); Refused(err) == nil || !strings.Contains(err.Error(), "--allow-host 127.0.0.1") {
		t.Errorf("%v", err)
	}
}

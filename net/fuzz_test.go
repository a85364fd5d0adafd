//go:build linux

package net

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzAddresses holds what becomes of networks and addresses against package net: the same sockets are asked for, with
// the same family and address, and the same errors come back, down to each layer's type and fields. No socket is bound or
// connected: Control ends each call. No name is looked up outside: the resolver cannot dial.
func FuzzAddresses(f *testing.F) {
	for _, network := range []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixgram", "unixpacket", "ip", "ip4:icmp", "ip6:58", "", "tcp7", "ip:", "udp6:1"} {
		for _, address := range []string{
			"127.0.0.1:0", "[::1]:80", ":http", "localhost:1", "[fe80::1%lo]:22", "::1:80", "1.2.3.4", "", ":", "[::1]", "@abstract",
			"/no/such/folder/socket", "[::ffff:10.0.0.1]:65536", "0x7f.1:1", "a:b:c", "127.0.0.1:-1", "[127.0.0.1]:080", "\x00:1",
		} {
			f.Add(network, address)
		}
	}
	resolver := stdnet.DefaultResolver
	stdnet.DefaultResolver = &stdnet.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (stdnet.Conn, error) {
		return nil, errors.New("no name server here")
	}}
	f.Cleanup(func() { stdnet.DefaultResolver = resolver })
	f.Fuzz(func(t *testing.T, network, address string) {
		if len(network) > 64 || len(address) > 512 {
			t.Skip("long for nothing")
		}
		ctx := t.Context()
		var asked *[]string
		stop := errors.New("as far as the socket")
		control := func(network, address string, _ syscall.RawConn) error {
			*asked = append(*asked, network+" "+address)
			return stop
		}
		lc, slc := ListenConfig{Control: control}, stdnet.ListenConfig{Control: control}
		d, sd := Dialer{Control: control}, stdnet.Dialer{Control: control}
		for _, way := range []struct {
			name      string
			ours, std func() (any, error)
		}{
			{"Listen", func() (any, error) { return lc.Listen(ctx, network, address) },
				func() (any, error) { return slc.Listen(ctx, network, address) }},
			{"ListenPacket", func() (any, error) { return lc.ListenPacket(ctx, network, address) },
				func() (any, error) { return slc.ListenPacket(ctx, network, address) }},
			{"Dial", func() (any, error) { return d.DialContext(ctx, network, address) },
				func() (any, error) { return sd.DialContext(ctx, network, address) }},
			{"ResolveTCPAddr", func() (any, error) { return ResolveTCPAddr(network, address) },
				func() (any, error) { return stdnet.ResolveTCPAddr(network, address) }},
			{"ResolveUDPAddr", func() (any, error) { return ResolveUDPAddr(network, address) },
				func() (any, error) { return stdnet.ResolveUDPAddr(network, address) }},
			{"ResolveUnixAddr", func() (any, error) { return ResolveUnixAddr(network, address) },
				func() (any, error) { return stdnet.ResolveUnixAddr(network, address) }},
		} {
			var want, got []string
			asked = &want
			wantValue, wantErr := way.std()
			asked = &got
			gotValue, gotErr := way.ours()
			require.Equal(t, want, got, "%s(%q, %q) asks for other sockets", way.name, network, address)
			require.Equal(t, anatomy(wantErr), anatomy(gotErr), "%s(%q, %q)", way.name, network, address)
			if strings.HasPrefix(way.name, "Resolve") {
				require.Equal(t, wantValue, gotValue, "%s(%q, %q)", way.name, network, address)
			} else {
				require.Error(t, gotErr, "%s(%q, %q) has made a socket that was refused", way.name, network, address)
			}
		}
	})
}

// anatomy says what err is made of, layer by layer.
func anatomy(err error) (layers []string) {
	for ; err != nil; err = errors.Unwrap(err) {
		s := fmt.Sprintf("%T: %v", err, err)
		if o, ok := err.(*OpError); ok {
			s += fmt.Sprintf(" (%s, %s, %v, %v, %v, %v)", o.Op, o.Net, o.Source, o.Addr, o.Timeout(), o.Temporary())
		}
		layers = append(layers, s)
	}
	return layers
}

//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ouro-io/ouro/net"
)

// echoService is a service with one unary call and one stream in both directions, described by hand.
var echoService = grpc.ServiceDesc{
	ServiceName: "ouro.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		if len(in.Value) == 0 {
			return nil, status.Error(codes.InvalidArgument, "nothing to say")
		}
		return in, nil
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Talk", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
		for {
			in := new(wrapperspb.BytesValue)
			if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.SendMsg(in); err != nil {
				return err
			}
		}
	}}},
}

func TestGRPC(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		ca := newAuthority(t)
		for name, creds := range map[string][2]credentials.TransportCredentials{
			"plain": {insecure.NewCredentials(), insecure.NewCredentials()},
			"tls":   {credentials.NewTLS(ca.server(t)), credentials.NewTLS(ca.client(t))},
		} {
			t.Run(name, func(t *testing.T) {
				l := s.listen(t)
				srv := grpc.NewServer(grpc.Creds(creds[0]))
				srv.RegisterService(&echoService, struct{}{})
				served := make(chan error, 1)
				go func() { served <- srv.Serve(l) }()
				defer func() {
					srv.GracefulStop()
					require.NoError(t, <-served)
				}()
				c, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(creds[1]),
					grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return s.dial(ctx, "tcp", addr) }))
				require.NoError(t, err)
				defer c.Close()
				t.Run("unary", func(t *testing.T) { says(t, c) })
				t.Run("streams", func(t *testing.T) { talks(t, c) })
				t.Run("deadline", func(t *testing.T) { expires(t, c) })
			})
		}
	})
}

func says(t *testing.T, c *grpc.ClientConn) {
	var all sync.WaitGroup
	errs := make(chan error, 20)
	for i := range cap(errs) {
		all.Go(func() {
			want := pattern(10_000 * (i + 1))
			got := new(wrapperspb.BytesValue)
			err := c.Invoke(t.Context(), "/ouro.Echo/Say", wrapperspb.Bytes(want), got)
			if err == nil && string(got.Value) != string(want) {
				err = errors.New("another answer came back")
			}
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	err := c.Invoke(t.Context(), "/ouro.Echo/Say", wrapperspb.Bytes(nil), new(wrapperspb.BytesValue))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func talks(t *testing.T, c *grpc.ClientConn) {
	s, err := c.NewStream(t.Context(), &echoService.Streams[0], "/ouro.Echo/Talk")
	require.NoError(t, err)
	const messages = 500
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := s.SendMsg(wrapperspb.Bytes(fmt.Appendf(nil, "%d %s", i, pattern(i*20)))); err != nil {
				sent <- err
				return
			}
		}
		sent <- s.CloseSend()
	}()
	for i := range messages {
		got := new(wrapperspb.BytesValue)
		require.NoError(t, s.RecvMsg(got))
		require.Equal(t, string(fmt.Appendf(nil, "%d %s", i, pattern(i*20))), string(got.Value))
	}
	require.NoError(t, <-sent)
	require.ErrorIs(t, s.RecvMsg(new(wrapperspb.BytesValue)), io.EOF)
}

func expires(t *testing.T, c *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	s, err := c.NewStream(ctx, &echoService.Streams[0], "/ouro.Echo/Talk")
	require.NoError(t, err)
	require.Equal(t, codes.DeadlineExceeded, status.Code(s.RecvMsg(new(wrapperspb.BytesValue))))
}

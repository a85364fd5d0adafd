//go:build linux

package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A real Redis server is the peer: pipelines, large values, blocking commands that time out, publish and subscribe.
func TestRedis(t *testing.T) {
	path := need(t, "redis-server", "redis-server")
	dir, port := t.TempDir(), freePort(t)
	socket := dir + "/s"
	start(t, "tcp", "127.0.0.1:"+port, path, "--port", port, "--bind", "127.0.0.1", "--unixsocket", socket,
		"--save", "", "--dir", dir)
	eachStack(t, func(t *testing.T, s stack) {
		for network, address := range map[string]string{"tcp": "127.0.0.1:" + port, "unix": socket} {
			t.Run(network, func(t *testing.T) {
				c := redis.NewClient(&redis.Options{Network: network, Addr: address, Dialer: s.dial, PoolSize: 8, ContextTimeoutEnabled: true})
				defer c.Close()
				require.NoError(t, c.FlushAll(t.Context()).Err())
				t.Run("pipeline", func(t *testing.T) { pipelines(t, c) })
				t.Run("values", func(t *testing.T) { values(t, c) })
				t.Run("blocking", func(t *testing.T) { blocks(t, c) })
				t.Run("subscribe", func(t *testing.T) { subscribes(t, c) })
			})
		}
	})
}

func pipelines(t *testing.T, c *redis.Client) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			cmds, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
				for i := range 500 {
					p.Incr(t.Context(), fmt.Sprintf("counter %d", i%10))
				}
				return nil
			})
			if err != nil || len(cmds) != 500 {
				t.Errorf("pipeline %d: %d answers, %v", g, len(cmds), err)
			}
		})
	}
	all.Wait()
	for i := range 10 {
		n, err := c.Get(t.Context(), fmt.Sprintf("counter %d", i)).Int()
		require.NoError(t, err)
		require.Equal(t, 400, n)
	}
}

func values(t *testing.T, c *redis.Client) {
	for _, n := range []int{0, 1, 4 << 10, 64 << 10, 8 << 20} {
		want := string(pattern(n))
		require.NoError(t, c.Set(t.Context(), "value", want, 0).Err())
		got, err := c.Get(t.Context(), "value").Result()
		require.NoError(t, err)
		require.True(t, want == got, "value of %d bytes", n)
	}
	require.ErrorIs(t, c.Get(t.Context(), "missing").Err(), redis.Nil)
}

func blocks(t *testing.T, c *redis.Client) {
	require.ErrorIs(t, c.BLPop(t.Context(), 100*time.Millisecond, "queue").Err(), redis.Nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, c.BLPop(ctx, 0, "queue").Err())
	require.NoError(t, c.Del(t.Context(), "queue").Err())
	popped := make(chan []string, 1)
	go func() {
		v, _ := c.BLPop(t.Context(), 20*time.Second, "queue").Result()
		popped <- v
	}()
	require.NoError(t, c.RPush(t.Context(), "queue", "x").Err())
	require.Equal(t, []string{"queue", "x"}, <-popped)
}

func subscribes(t *testing.T, c *redis.Client) {
	sub := c.Subscribe(t.Context(), "news")
	defer sub.Close()
	_, err := sub.Receive(t.Context())
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, c.Publish(t.Context(), "news", i).Err())
	}
	for i := range 100 {
		m, err := sub.ReceiveMessage(t.Context())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), m.Payload)
	}
}

// SPDX-License-Identifier: GPL-2.0-only

//! What queueing theory says about mean times in the system; the mean service time is 1.

/// M/M/1, and M/G/1 with processor sharing: 1 / (1 - rho).
#[must_use]
pub fn mm1(rho: f64) -> f64 {
    1.0 / (1.0 - rho)
}

/// M/M/c at load `rho` for each server, by Erlang's C formula.
#[must_use]
pub fn mmc(rho: f64, servers: u32) -> f64 {
    let offered = rho * f64::from(servers);
    // Erlang B by its recursion, and C from B.
    let blocked = (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    let waits = blocked / (1.0 - rho * (1.0 - blocked));
    1.0 + waits / (f64::from(servers) * (1.0 - rho))
}

/// M/G/1 by Pollaczek and Khinchine; `cv2` is the squared coefficient of variation of services.
#[must_use]
pub fn mg1(rho: f64, cv2: f64) -> f64 {
    1.0 + rho * (1.0 + cv2) / (2.0 * (1.0 - rho))
}

/// E_n/M/1: what each of `n` servers sees when round-robin deals out Poisson arrivals.
#[must_use]
pub fn erlang_m1(rho: f64, n: u32) -> f64 {
    // G/M/1: the root of sigma = A*(1 - sigma), the transform of the gaps between arrivals.
    let n = f64::from(n);
    let transform = |s: f64| (1.0 + s / (n * rho)).powf(-n);
    let sigma = (0..10_000).fold(0.5, |sigma, _| transform(1.0 - sigma));
    1.0 / (1.0 - sigma)
}

/// The better of two at random, infinitely many servers (Mitzenmacher 1996; Vvedenskaya 1996).
#[must_use]
pub fn two_choices(rho: f64) -> f64 {
    // sum over i of rho^(2^i - 2), i = 1, 2, ...
    (1..=60)
        .map(|i| rho.powf(2_f64.powi(i) - 2.0))
        .take_while(|term| *term > 1e-15)
        .sum()
}

/// Join the shortest of two queues: the stationary distribution of a truncated chain of both
/// lengths, by Gauss and Seidel.
#[must_use]
pub fn shortest_of_two(rho: f64) -> f64 {
    const LONGEST: usize = 90;
    let arrival = 2.0 * rho;
    let start = |i: usize| (0..=LONGEST).map(|j| rho.powi((i + j) as i32)).collect();
    let mut p: Vec<Vec<f64>> = (0..=LONGEST).map(start).collect();
    for _ in 0..20_000 {
        let mut change = 0.0_f64;
        for i in 0..=LONGEST {
            for j in 0..=LONGEST {
                let at = |i: usize, j: usize| p.get(i).and_then(|row| row.get(j)).copied();
                // Flow in: an end of service at either queue, an arrival at the shorter one.
                let mut flow = at(i + 1, j).unwrap_or(0.0) + at(i, j + 1).unwrap_or(0.0);
                let share = |one: usize, other: usize| match one.cmp(&other) {
                    std::cmp::Ordering::Less => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Greater => 0.0,
                };
                if i > 0 {
                    flow += arrival * share(i - 1, j) * p[i - 1][j];
                }
                if j > 0 {
                    flow += arrival * share(j - 1, i) * p[i][j - 1];
                }
                let full = i == LONGEST && j == LONGEST;
                let out =
                    f64::from(u8::from(i > 0) + u8::from(j > 0)) + if full { 0.0 } else { arrival };
                let new = flow / out;
                change = change.max((new - p[i][j]).abs());
                p[i][j] = new;
            }
        }
        let total: f64 = p.iter().flatten().sum();
        p.iter_mut().flatten().for_each(|x| *x /= total);
        if change < 1e-12 {
            break;
        }
    }
    let mut mean = 0.0;
    for (i, row) in p.iter().enumerate() {
        for (j, x) in row.iter().enumerate() {
            mean += (i + j) as f64 * x;
        }
    }
    mean / arrival
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_literature() {
        for (got, wanted) in [
            (mm1(0.8), 5.0),
            (mmc(0.9, 1), 10.0),
            (mmc(0.9, 2), 5.2632),
            (mmc(0.9, 4), 2.9694),
            (mmc(0.9, 8), 1.8769),
            (mmc(0.9, 16), 1.3696),
            (mmc(0.7, 2), 1.9608),
            (mmc(0.7, 16), 1.0270),
            (mg1(0.9, 0.0), 5.5),
            (mg1(0.8, 4.0), 11.0),
            (erlang_m1(0.9, 1), 10.0),
            (erlang_m1(0.9, 2), 7.588),
            (erlang_m1(0.9, 4), 6.383),
            (erlang_m1(0.9, 10), 5.660),
            (erlang_m1(0.9, 100), 5.227),
            (two_choices(0.5), 1.2657),
            (two_choices(0.7), 1.6145),
            (two_choices(0.9), 2.6141),
            (two_choices(0.95), 3.3830),
            (two_choices(0.99), 5.4320),
        ] {
            assert!((got / wanted - 1.0).abs() < 1e-4, "{got}, not {wanted}");
        }
    }

    #[test]
    fn the_shorter_of_two_queues_is_between_two_servers_with_one_queue_and_two_alone() {
        let time = shortest_of_two(0.7);
        assert!(time > mmc(0.7, 2) && time < mm1(0.7), "{time}");
        // I. Adan, J. Wessels, W. Zijm, "Analysis of the symmetric shortest queue problem" (1990).
        assert!(
            (shortest_of_two(0.5) - 1.426).abs() < 0.01,
            "{}",
            shortest_of_two(0.5)
        );
    }
}

# The reference for tests of one sample of unit means, and for corrections of many p-values: stats, with sign flips by
# enumeration.
#
#   Rscript tests/statistics/golden/one_sample.R tests/statistics/golden
#
# Debian: r-base. Writes one_sample_data.csv, one_sample.csv, multiplicity.csv and one_sample_versions.txt, which are
# committed; no test runs R. The TOSTER package is not in Debian: its one-sample t_TOST is the two calls of t.test below.
folder <- commandArgs(trailingOnly = TRUE)[1]
margin <- 0.1
alpha <- 0.05

set.seed(1)
samples <- list(
  five = round(rnorm(5, 0.06, 0.05), 6),
  six_skewed = round(rexp(6) - 0.4, 6),
  ten_tied = c(0.3, -0.1, 0, 0.3, 0.5, -0.2, 0, 0.8, 0.1, 0.4),
  twenty_five_skewed = round(exp(rnorm(25, -1, 0.7)) - 0.3, 6)
)

# every assignment of signs is as likely under the null hypothesis: the share whose mean is at least as far from 0
sign_flip <- function(x) {
  sums <- 0
  for (value in abs(x)) sums <- c(sums + value, sums - value)
  mean(abs(sums) >= abs(sum(x)) * (1 - 1e-12))
}

rows <- lapply(names(samples), function(name) {
  x <- samples[[name]]
  t <- t.test(x, conf.level = 1 - alpha)
  narrow <- t.test(x, conf.level = 1 - 2 * alpha)
  above <- t.test(x, mu = -margin, alternative = "greater")
  below <- t.test(x, mu = margin, alternative = "less")
  clean <- !any(x == 0) && !any(duplicated(abs(x)))
  # with ties or zeros R has no exact test; there its normal one without correction for continuity is given
  w <- suppressWarnings(wilcox.test(x, exact = clean, correct = FALSE, conf.int = TRUE, conf.level = 1 - alpha))
  data.frame(
    sample = name, n = length(x), t = t$statistic, t_df = t$parameter, t_p = t$p.value, t_low = t$conf.int[1],
    t_high = t$conf.int[2], mean = mean(x), se = t$stderr, margin = margin, tost_p = max(above$p.value, below$p.value),
    tost_low = narrow$conf.int[1], tost_high = narrow$conf.int[2], wilcoxon_exact = clean, wilcoxon = w$statistic,
    wilcoxon_p = w$p.value, wilcoxon_low = w$conf.int[1], wilcoxon_high = w$conf.int[2],
    hodges_lehmann = w$estimate,
    walsh_median = median(outer(x, x, "+")[upper.tri(diag(length(x)), diag = TRUE)] / 2),
    sign_flip_p = if (length(x) <= 20) sign_flip(x) else NA)
})
result <- do.call(rbind, rows)
p <- c(0.0004, 0.011, 0.02, 0.02, 0.049, 0.3, 0.8, 1)
many <- data.frame(p = p, holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH"))
digits <- function(table) {
  table[] <- lapply(table, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
  table
}
write.csv(do.call(rbind, lapply(names(samples), function(name) data.frame(sample = name, value = samples[[name]]))),
          file.path(folder, "one_sample_data.csv"), row.names = FALSE, quote = FALSE)
write.csv(digits(result), file.path(folder, "one_sample.csv"), row.names = FALSE, quote = FALSE)
write.csv(digits(many), file.path(folder, "multiplicity.csv"), row.names = FALSE, quote = FALSE)
writeLines(R.version.string, file.path(folder, "one_sample_versions.txt"))

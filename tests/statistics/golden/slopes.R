# The reference for two groups that vary by slide: lme4 and lmerTest.
#
#   Rscript tests/statistics/golden/slopes.R tests/statistics/golden
#
# Debian: r-cran-lme4 r-cran-lmertest. Writes slopes_data.csv, slopes.csv and slopes_versions.txt, which are committed; no
# test runs R.
suppressPackageStartupMessages({library(lme4); library(lmerTest)})
folder <- commandArgs(trailingOnly = TRUE)[1]
tight <- lmerControl(optimizer = "bobyqa", check.conv.singular = "ignore",
                     optCtrl = list(rhobeg = 0.02, rhoend = 1e-12, maxfun = 1e6))

sample_case <- function(name, slides, sds, rho, sizes, seed, single = 0) {
  set.seed(seed)
  first <- rnorm(slides)
  effects <- cbind(first * sds[1], (rho * first + sqrt(1 - rho^2) * rnorm(slides)) * sds[2])
  rows <- list()
  for (slide in seq_len(slides)) for (group in if (slide <= single) slide %% 2 else 0:1) {
    n <- sample(sizes, 1)
    rows[[length(rows) + 1]] <- data.frame(case = name, slide = sprintf("s%02d", slide), group = group,
                                           y = round(5 + 0.2 * group + effects[slide, group + 1] + rnorm(n), 6))
  }
  do.call(rbind, rows)
}
data <- rbind(
  sample_case("alike", 12, c(0.8, 0.6), 0.6, 2:9, 1),
  sample_case("group varies more", 14, c(0.5, 1.1), 0.4, 2:12, 2, single = 5),
  sample_case("opposed", 12, c(0.7, 0.7), -0.6, 3:10, 3),
  sample_case("as one", 10, c(0.3, 0.6), 1, 3:8, 4),
  sample_case("only the group varies", 9, c(0, 0.8), 0, 3:8, 6),
  sample_case("on the boundary", 8, c(0.5, 0.4), 1, 4:7, 5)
)
rows <- list()
for (name in unique(data$case)) {
  part <- data[data$case == name, ]
  part$kind <- factor(part$group)
  fit <- lmer(y ~ kind + (0 + kind | slide), part, control = tight)
  for (again in 1:5) fit <- update(fit, start = getME(fit, "theta"), data = part)
  between <- as.matrix(VarCorr(fit)$slide)
  found <- contest1D(fit, c(0, 1))
  rows[[length(rows) + 1]] <- data.frame(
    case = name, others = between[1, 1], both = between[1, 2], group = between[2, 2], within = sigma(fit)^2,
    singular = isSingular(fit), deviance = as.numeric(-2 * logLik(fit)), estimate = found[["Estimate"]],
    se = found[["Std. Error"]], df = found[["df"]], p = found[["Pr(>|t|)"]])
}
result <- do.call(rbind, rows)
write.csv(data, file.path(folder, "slopes_data.csv"), row.names = FALSE, quote = FALSE)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "slopes.csv"), row.names = FALSE, quote = FALSE)
versions <- sapply(c("lme4", "lmerTest"), function(name) paste(name, packageVersion(name)))
writeLines(c(R.version.string, versions), file.path(folder, "slopes_versions.txt"))

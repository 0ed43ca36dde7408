# The reference for random-intercept models: lme4, lmerTest and pbkrtest.
#
#   Rscript tests/statistics/golden/mixed.R tests/statistics/golden
#
# Debian: r-cran-lme4 r-cran-lmertest r-cran-pbkrtest. Writes mixed_data.csv and mixed.csv, which are committed; no test
# runs R.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest)})
folder <- commandArgs(trailingOnly = TRUE)[1]
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e6),
                     check.conv.singular = "ignore", calc.derivs = TRUE)

sample_case <- function(name, sizes, between, seed, shift = 0) {
  set.seed(seed)
  slide <- rep(seq_along(sizes), sizes)
  x <- rnorm(length(slide)) + 0.3 * slide / length(sizes)
  malignant <- as.numeric(slide %% 2 == 0)
  y <- shift + 0.4 * x - 0.2 * malignant + rnorm(length(sizes), 0, sqrt(between))[slide] + rnorm(length(slide))
  data.frame(case = name, slide = sprintf("s%02d", slide), x = x, malignant = malignant, y = y)
}
data <- rbind(
  sample_case("balanced", rep(12, 8), 0.5, 1),
  sample_case("unbalanced", c(2, 3, 5, 9, 14, 30, 48, 70), 0.4, 2),
  sample_case("far", c(6, 9, 4, 15, 11, 8), 0.8, 3, shift = 1000),
  sample_case("boundary", c(10, 7, 12, 9, 8, 14), 0, 5)
)
data$x <- round(data$x, 6)
data$y <- round(data$y, 6)

rows <- list()
for (name in unique(data$case)) for (formula in c("1", "x + malignant")) for (reml in c(TRUE, FALSE)) {
  part <- data[data$case == name, ]
  fit <- lmer(as.formula(paste("y ~", formula, "+ (1 | slide)")), part, REML = reml, control = tight)
  between <- as.numeric(VarCorr(fit)$slide)
  for (term in names(fixef(fit))) {
    weights <- as.numeric(names(fixef(fit)) == term)
    plain <- contest1D(fit, weights)
    kr <- if (reml) contest1D(fit, weights, ddf = "Kenward-Roger") else NULL
    rows[[length(rows) + 1]] <- data.frame(
      case = name, formula = formula, method = ifelse(reml, "reml", "ml"), term = term,
      between = between, within = sigma(fit)^2, deviance = as.numeric(-2 * logLik(fit)),
      estimate = plain[["Estimate"]], se = plain[["Std. Error"]], df = plain[["df"]], p = plain[["Pr(>|t|)"]],
      kr_se = if (reml) kr[["Std. Error"]] else NA, kr_df = if (reml) kr[["df"]] else NA,
      kr_p = if (reml) kr[["Pr(>|t|)"]] else NA)
  }
}
result <- do.call(rbind, rows)
write.csv(data, file.path(folder, "mixed_data.csv"), row.names = FALSE, quote = FALSE)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "mixed.csv"), row.names = FALSE, quote = FALSE)
versions <- sapply(c("lme4", "lmerTest", "pbkrtest"), function(name) as.character(packageVersion(name)))
writeLines(c(R.version.string, paste(names(versions), versions)), file.path(folder, "mixed_versions.txt"))
